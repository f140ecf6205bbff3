/* The backend's bytes: heads, then whatever body they announce. First byte: whether it answers a HEAD
 * request. */
#include "tests/fuzz/fuzz.h"

#include "proxy/response.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void check_fields(const struct response *response, const char *bytes)
{
    for (size_t at = 0; at < response->headers.count; at++) {
        const struct header *header = &response->headers.items[at];
        assert(header->name >= bytes && header->value + header->value_size < bytes + response->head_size);
        assert(strlen(header->name) == header->name_size && strlen(header->value) == header->value_size);
        assert(text_is_token(header->name, header->name_size));
        (void)headers_is_hop_by_hop(&response->headers, header);
    }
}

static void read_body(const struct response *response, uint8_t *bytes, size_t size)
{
    struct body body;
    size_t decoded = 0;

    body_begin(&body, response->body, response->length);
    for (size_t at = 0; at < size; at += 7) {
        size_t piece = size - at < 7 ? size - at : 7;
        if (!body_decode(&body, bytes + at, piece, &decoded))
            return;
        assert(decoded <= piece);
    }
    (void)!body_finish(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *given, size_t size)
{
    char *bytes;
    struct response response;

    if (size == 0)
        return 0;
    bytes = malloc(size);
    assert(bytes);
    memcpy(bytes, given, size);
    if (response_parse(bytes + 1, size - 1, given[0] == 'H', &response) == RESPONSE_COMPLETE) {
        assert(response.head_size <= size - 1 && response.code >= 100 && response.code <= 599);
        check_fields(&response, bytes + 1);
        read_body(&response, (uint8_t *)bytes + 1 + response.head_size, size - 1 - response.head_size);
    }
    free(bytes);
    return 0;
}
