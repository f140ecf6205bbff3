/* An S3 server's answer: its head, line by line; then the same bytes as an error document and as a page. */
#include "snapshot/store/s3_answer.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

static void expect_printable(const char *text, size_t size_max)
{
    assert(strlen(text) < size_max);
    for (; *text; text++)
        assert(isprint((unsigned char)*text));
}

static void read_head(struct s3_answer *answer, const char *bytes, size_t size)
{
    while (size > 0) {
        const char *end = memchr(bytes, '\n', size);
        size_t line_size = end ? (size_t)(end - bytes) + 1 : size;
        s3_answer_note_line(answer, bytes, line_size);
        bytes += line_size;
        size -= line_size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *text = (const char *)bytes;
    struct s3_answer answer = {0};
    struct err err = {0};
    bool more_follow = false;

    read_head(&answer, text, size);
    assert(answer.status >= 0 && answer.status <= 999);
    expect_printable(answer.region, sizeof(answer.region));
    s3_answer_note_error(&answer, text, size);
    expect_printable(answer.code, sizeof(answer.code));
    expect_printable(answer.message, sizeof(answer.message));
    if (!s3_page_check(text, size, &more_follow, &err))
        assert(err.code == ERR_CORRUPT && !more_follow);
    return 0;
}
