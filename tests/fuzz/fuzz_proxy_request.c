/* A client's head as the HTTP library hands it over: method, target and version in the first line, then
 * fields. What is accepted has to come out as one head that a strict reader reads as we did. */
#include "tests/fuzz/fuzz.h"

#include "base/cleanup.h"
#include "proxy/request.h"

#include <assert.h>
#include <string.h>

/* Cuts *at off at the separator (or the end) and moves behind it. */
static char *take(char **at, char separator)
{
    char *begin = *at;
    char *end = strchr(begin, separator);

    if (end)
        *end = '\0';
    *at = end ? end + 1 : begin + strlen(begin);
    return begin;
}

static struct request_head split(char *text)
{
    struct request_head head = {
        .method = take(&text, ' '), .target = take(&text, ' '), .version = take(&text, '\n')};

    while (*text && head.headers.count < HEADERS_MAX) {
        const char *name = take(&text, ':'), *value = take(&text, '\n');
        head.headers.items[head.headers.count++] = (struct header){
            .name = name, .name_size = strlen(name), .value = value, .value_size = strlen(value)};
    }
    return head;
}

/* Framing and host once at most, no line that isn't ours, one empty line, at the end. */
static void check_text(const char *text, size_t size, const struct request_facts *facts)
{
    unsigned lengths = 0, codings = 0, hosts = 0;

    assert(strlen(text) == size && size >= 4 && strstr(text, "\r\n\r\n") == text + size - 4);
    for (const char *line = strstr(text, "\r\n") + 2; line < text + size - 2;
         line = strstr(line, "\r\n") + 2) {
        size_t name_size = strcspn(line, ":\r\n");
        assert(text_is_token(line, name_size) && line[name_size] == ':');
        lengths += text_equal(line, name_size, "content-length");
        codings += text_equal(line, name_size, "transfer-encoding");
        hosts += text_equal(line, name_size, "host");
        assert(!text_equal(line, name_size, "forwarded"));
    }
    assert(hosts == 1 && lengths + codings <= 1);
    assert((facts->body == BODY_CHUNKED) == (codings == 1));
    assert(facts->body != BODY_LENGTH || lengths == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *given, size_t size)
{
    struct request_route route = {.prefix = "/http", .client_ip = "192.0.2.1", .default_host = "h"};
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(4 * 1024 * 1024);
    CLEANUP(freep) char *copy = xmalloc(size + 1);
    struct request_head head;
    struct request_facts facts;

    memcpy(copy, given, size);
    copy[size] = '\0';
    head = split(copy);
    if (request_check(&head, &facts) != 0)
        return 0;
    for (int trusting = 0; trusting < 2; trusting++) {
        route.trust_forwarded = trusting;
        buf_reset(&text);
        request_write(&text, &head, &facts, &route);
        check_text(buf_text(&text), text.size, &facts);
    }
    (void)request_matches(facts.target, "/a*:[b]*:?");
    return 0;
}
