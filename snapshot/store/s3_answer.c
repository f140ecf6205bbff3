#include "snapshot/store/s3_answer.h"

#include "base/clock.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Up to 18 decimal digits and nothing else. */
static bool parse_number(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t size = strspn(text, "0123456789");

    if (size == 0 || size > 18 || text[size] != '\0')
        return false;
    for (size_t at = 0; at < size; at++)
        number = number * 10 + (uint64_t)(text[at] - '0');
    *ret_number = number;
    return true;
}

/* "HTTP/1.1 200 OK" */
static void begin_head(struct s3_answer *answer, const char *line)
{
    const char *status = strchr(line, ' ');

    *answer = (struct s3_answer){0};
    if (status && isdigit((unsigned char)status[1]) && isdigit((unsigned char)status[2]) &&
        isdigit((unsigned char)status[3]) && !isdigit((unsigned char)status[4]))
        answer->status = (status[1] - '0') * 100 + (status[2] - '0') * 10 + (status[3] - '0');
}

/* Retry-After is a number of seconds or a date (RFC 9110, 10.2.3); a date needs Date beside it, not our
 * clock. */
static void note_retry_after(struct s3_answer *answer, const char *value)
{
    uint64_t seconds = 0, until_ns = 0;

    if (parse_number(value, &seconds))
        answer->retry_after_s = seconds;
    else if (clock_parse_http_date(value, &until_ns) && answer->date_unix_ns > 0 &&
             until_ns > answer->date_unix_ns)
        answer->retry_after_s = (until_ns - answer->date_unix_ns) / NS_PER_SECOND;
}

static void note_region(struct s3_answer *answer, const char *value)
{
    size_t size = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (value[size] == '\0' && size < sizeof(answer->region))
        memcpy(answer->region, value, size + 1);
}

static void note_header(struct s3_answer *answer, const char *name, const char *value)
{
    if (strcasecmp(name, "content-length") == 0)
        answer->has_length = parse_number(value, &answer->length);
    else if (strcasecmp(name, "transfer-encoding") == 0)
        answer->is_chunked = strcasecmp(value, "chunked") == 0;
    else if (strcasecmp(name, "date") == 0)
        answer->date_unix_ns = clock_parse_http_date(value, &answer->date_unix_ns) ? answer->date_unix_ns : 0;
    else if (strcasecmp(name, "retry-after") == 0)
        note_retry_after(answer, value);
    else if (strcasecmp(name, "x-amz-bucket-region") == 0)
        note_region(answer, value);
}

void s3_answer_note_line(struct s3_answer *answer, const char *line, size_t size)
{
    char text[256];
    char *value;

    while (size > 0 && isspace((unsigned char)line[size - 1]))
        size--;
    if (size >= sizeof(text) || memchr(line, '\0', size))
        return; /* none of those we look for is so long */
    memcpy(text, line, size);
    text[size] = '\0';
    if (strncmp(text, "HTTP/", 5) == 0) {
        begin_head(answer, text);
        return;
    }
    value = strchr(text, ':');
    if (!value)
        return;
    *value++ = '\0';
    note_header(answer, text, value + strspn(value, " \t"));
}

/* The text between <name> and </name>, with the five entities of XML decoded and only printable ASCII kept.
 */
static void copy_element(const char *bytes, size_t size, const char *name, char *text, size_t text_size)
{
    static const struct {
        const char *name;
        char character;
    } entities[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    char opening[32];
    int opening_size = snprintf(opening, sizeof(opening), "<%s>", name);
    const char *end = bytes + size, *at = memmem(bytes, size, opening, (size_t)opening_size);
    size_t written = 0;

    for (at = at ? at + opening_size : end; at < end && *at != '<' && written + 1 < text_size; at++) {
        char character = isprint((unsigned char)*at) && (unsigned char)*at < 0x7f ? *at : ' ';
        for (size_t number = 0; number < sizeof(entities) / sizeof(entities[0]); number++) {
            size_t entity_size = strlen(entities[number].name);
            if ((size_t)(end - at) >= entity_size && memcmp(at, entities[number].name, entity_size) == 0) {
                character = entities[number].character;
                at += entity_size - 1;
                break;
            }
        }
        text[written++] = character;
    }
    text[written] = '\0';
}

void s3_answer_note_error(struct s3_answer *answer, const char *bytes, size_t size)
{
    static const char marker[] = "<Error>";

    answer->code[0] = answer->message[0] = '\0';
    if (!memmem(bytes, size, marker, sizeof(marker) - 1))
        return;
    copy_element(bytes, size, "Code", answer->code, sizeof(answer->code));
    copy_element(bytes, size, "Message", answer->message, sizeof(answer->message));
}

static bool contains(const char *bytes, size_t size, const char *text)
{
    return memmem(bytes, size, text, strlen(text)) != NULL;
}

/* Keys can't counterfeit these marks: a '<' in a key is written as an entity. */
bool s3_page_check(const char *bytes, size_t size, bool *ret_more_follow, struct err *err)
{
    bool more = contains(bytes, size, "<IsTruncated>true</IsTruncated>");
    bool last = contains(bytes, size, "<IsTruncated>false</IsTruncated>");

    if (!contains(bytes, size, "<ListBucketResult"))
        return err_set(err, ERR_CORRUPT, "the answer is not a listing");
    if (!contains(bytes, size, "</ListBucketResult>"))
        return err_set(err, ERR_CORRUPT, "the listing is cut off");
    if (more == last)
        return err_set(err, ERR_CORRUPT, "the listing doesn't say whether it is complete");
    *ret_more_follow = more;
    return true;
}
