/* Names of objects.
 *
 * A key is parsed by reading its numbers and then formatting them again: what does not come out letter for
 * letter is no key of ours. So upper case, leading zeros, signs, spaces and left-overs need no rules of their
 * own, and no two texts ever name one object. */
#include "snapshot/key.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { HEX64_SIZE = 16, HEX_ID_SIZE = 2 * ID_SIZE, HEX_DIGEST_SIZE = 2 * DIGEST_SIZE };

static void key_printf(struct key *key, const char *format, ...) PRINTF_LIKE(2, 3);

static void key_printf(struct key *key, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(key->text, sizeof(key->text), format, args);
    va_end(args);
    assert(length > 0 && (size_t)length < sizeof(key->text));
}

static uint64_t invert(uint64_t position)
{
    assert(position > 0);
    return UINT64_MAX - position;
}

struct key key_log(uint64_t position)
{
    struct key key = {""};

    key_printf(&key, "log/%016" PRIx64, invert(position));
    return key;
}

static struct key key_of_owner(const char *folder, uint64_t position, const struct id *owner, uint64_t n)
{
    struct key key = {""};
    char text[HEX_ID_SIZE + 1];

    id_format(owner, text);
    key_printf(&key, "%s/%016" PRIx64 "-%s-%" PRIu64, folder, invert(position), text, n);
    return key;
}

struct key key_base(uint64_t position, const struct id *owner, uint64_t n)
{
    return key_of_owner("base", position, owner, n);
}

struct key key_part(uint64_t position, const struct id *owner, uint64_t n)
{
    return key_of_owner("part", position, owner, n);
}

struct key key_blob(uint64_t tag, const struct digest *content)
{
    struct key key = {""};
    char text[DIGEST_TEXT_SIZE];

    assert(tag > 0);
    digest_hex(content, text);
    key_printf(&key, "blob/%016" PRIx64 "-%s", tag, text);
    return key;
}

struct key key_pack(uint64_t first, uint64_t last)
{
    struct key key = {""};

    assert(first <= last);
    key_printf(&key, "pack/%016" PRIx64 "-%016" PRIx64, invert(last), invert(first));
    return key;
}

/* Moves *at behind `word`; false if the text goes on with something else. */
static bool skip(const char **at, const char *word)
{
    size_t size = strlen(word);

    if (strncmp(*at, word, size) != 0)
        return false;
    *at += size;
    return true;
}

/* Sixteen hexadecimal digits, or fewer when the text ends: the comparison of the whole key finds that. */
static uint64_t read_hex64(const char **at)
{
    char digits[HEX64_SIZE + 1] = "";

    (void)stpncpy(digits, *at, HEX64_SIZE);
    *at += strlen(digits);
    return strtoull(digits, NULL, 16);
}

/* A position, or 0 where there is none. */
static uint64_t read_position(const char **at)
{
    return UINT64_MAX - read_hex64(at);
}

static bool same(const struct key *key, const char *text)
{
    return strcmp(key->text, text) == 0;
}

bool key_parse_log(const char *text, uint64_t *ret_position)
{
    const char *at = text;
    uint64_t position;
    struct key key;

    if (!skip(&at, "log/"))
        return false;
    position = read_position(&at);
    if (position == 0)
        return false;
    key = key_log(position);
    if (!same(&key, text))
        return false;
    *ret_position = position;
    return true;
}

static bool read_owner(const char **at, struct id *ret_owner)
{
    char text[HEX_ID_SIZE + 1] = "";

    (void)stpncpy(text, *at, HEX_ID_SIZE);
    *at += strlen(text);
    return id_parse(text, ret_owner);
}

/* A key of a base or part, taken apart. */
struct owned {
    uint64_t position;
    struct id owner;
    uint64_t n;
};

static bool parse_owned(const char *folder, const char *text, struct owned *ret_owned)
{
    struct owned owned;
    const char *at = text;
    struct key key;

    if (!skip(&at, folder) || !skip(&at, "/"))
        return false;
    owned.position = read_position(&at);
    if (owned.position == 0 || !skip(&at, "-") || !read_owner(&at, &owned.owner) || !skip(&at, "-"))
        return false;
    owned.n = strtoull(at, NULL, 10); /* saturates above the range, and then the text differs */
    key = key_of_owner(folder, owned.position, &owned.owner, owned.n);
    if (!same(&key, text))
        return false;
    *ret_owned = owned;
    return true;
}

bool key_parse_base(const char *text, uint64_t *ret_position, struct id *ret_owner, uint64_t *ret_n)
{
    struct owned owned;

    if (!parse_owned("base", text, &owned))
        return false;
    *ret_position = owned.position;
    *ret_owner = owned.owner;
    *ret_n = owned.n;
    return true;
}

bool key_parse_part(const char *text, uint64_t *ret_position, struct id *ret_owner, uint64_t *ret_n)
{
    struct owned owned;

    if (!parse_owned("part", text, &owned))
        return false;
    *ret_position = owned.position;
    *ret_owner = owned.owner;
    *ret_n = owned.n;
    return true;
}

bool key_parse_blob(const char *text, uint64_t *ret_tag, struct digest *ret_content)
{
    const char *at = text;
    struct digest content;
    struct key key;
    uint64_t tag;

    if (!skip(&at, "blob/"))
        return false;
    tag = read_hex64(&at);
    if (tag == 0 || !skip(&at, "-") || !digest_parse(at, &content))
        return false;
    key = key_blob(tag, &content);
    if (!same(&key, text))
        return false;
    *ret_tag = tag;
    *ret_content = content;
    return true;
}

bool key_parse_pack(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
    const char *at = text;
    uint64_t first, last;
    struct key key;

    if (!skip(&at, "pack/"))
        return false;
    last = read_position(&at);
    if (!skip(&at, "-"))
        return false;
    first = read_position(&at);
    if (first == 0 || first > last)
        return false;
    key = key_pack(first, last);
    if (!same(&key, text))
        return false;
    *ret_first = first;
    *ret_last = last;
    return true;
}

void id_format(const struct id *id, char text[2 * ID_SIZE + 1])
{
    for (size_t at = 0; at < ID_SIZE; at++)
        (void)snprintf(text + 2 * at, 3, "%02x", id->bytes[at]);
}

static int value_of_digit(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);

    return found ? (int)(found - digits) : -1;
}

bool id_parse(const char *text, struct id *ret_id)
{
    struct id id;

    for (size_t at = 0; at < ID_SIZE; at++) {
        int high = value_of_digit(text[2 * at]);
        int low = high < 0 ? -1 : value_of_digit(text[2 * at + 1]);
        if (low < 0)
            return false;
        id.bytes[at] = (uint8_t)(high * 16 + low);
    }
    if (text[HEX_ID_SIZE] != '\0')
        return false;
    *ret_id = id;
    return true;
}

struct id id_random(void)
{
    struct id id;
    ssize_t got = getrandom(id.bytes, sizeof(id.bytes), 0);

    assert(got == (ssize_t)sizeof(id.bytes)); /* up to 256 bytes come whole: getrandom(2) */
    return id;
}

bool id_equal(const struct id *left, const struct id *right)
{
    return memcmp(left->bytes, right->bytes, ID_SIZE) == 0;
}
