#include "base/buf.h"

#include <assert.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *memory)
{
    static const char message[] = "holdfast: out of memory\n";

    if (!memory) {
        (void)fwrite(message, 1, sizeof(message) - 1, stderr);
        abort();
    }
    return memory;
}

void *xmalloc(size_t size)
{
    return or_abort(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *xaligned(size_t alignment, size_t size)
{
    assert(size > 0 && size % alignment == 0);
    return or_abort(aligned_alloc(alignment, size));
}

void *xrealloc(void *memory, size_t size)
{
    return or_abort(realloc(memory, size ? size : 1));
}

char *xstrdup(const char *text)
{
    return or_abort(strdup(text));
}

char *xasprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return or_abort(text);
}

void memory_configure(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024); /* a fixed value also ends glibc's habit of raising it */
    (void)mallopt(M_ARENA_MAX, 2);
}

void memory_release(void)
{
    (void)malloc_trim(0);
}

void buf_clear(struct buf *buf)
{
    free(buf->bytes);
    *buf = (struct buf)BUF_INIT(buf->size_max);
}

void buf_reset(struct buf *buf)
{
    buf->size = 0;
    buf->overflowed = false;
}

/* Leaves room for one byte more than asked: buf_text() terminates in place. */
static bool reserve(struct buf *buf, size_t size)
{
    size_t wanted, capacity;

    assert(buf->size <= buf->size_max && buf->size_max < SIZE_MAX);
    if (size > buf->size_max - buf->size) {
        buf->overflowed = true;
        return false;
    }
    wanted = buf->size + size + 1;
    if (wanted <= buf->capacity)
        return true;
    capacity = buf->capacity < 128 ? 256 : buf->capacity * 2;
    if (capacity < wanted)
        capacity = wanted;
    if (capacity > buf->size_max + 1)
        capacity = buf->size_max + 1;
    buf->bytes = xrealloc(buf->bytes, capacity);
    buf->capacity = capacity;
    return true;
}

uint8_t *buf_extend(struct buf *buf, size_t size)
{
    uint8_t *room;

    if (!reserve(buf, size))
        return NULL;
    room = buf->bytes + buf->size;
    buf->size += size;
    return room;
}

void buf_add(struct buf *buf, const void *bytes, size_t size)
{
    uint8_t *room = buf_extend(buf, size);

    if (room && size > 0)
        memcpy(room, bytes, size);
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    int length;
    char *text = NULL;

    va_start(args, format);
    length = vasprintf(&text, format, args);
    va_end(args);
    or_abort(length < 0 ? NULL : text);
    buf_add(buf, text, (size_t)length);
    free(text);
}

const char *buf_text(struct buf *buf)
{
    if (!buf->bytes && !reserve(buf, 0))
        return "";
    buf->bytes[buf->size] = '\0';
    return (const char *)buf->bytes;
}

bool buf_check(const struct buf *buf, const char *what, struct err *err)
{
    if (buf->overflowed)
        return err_set(err, ERR_CORRUPT, "%s is larger than the %zu bytes it may have", what, buf->size_max);
    return true;
}

/* Length of the well-formed UTF-8 sequence at text, or 0. Overlong forms, surrogates and values above
 * U+10FFFF are not well-formed: readers of our JSON may refuse them. */
static size_t utf8_length(const unsigned char *text)
{
    size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;

    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    for (size_t at = 1; at < length; at++)
        if ((text[at] & 0xc0) != 0x80)
            return 0;
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f))
        return 0;
    if ((text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

static size_t add_json_character(struct buf *buf, const unsigned char *text)
{
    size_t length;

    if (*text == '"' || *text == '\\') {
        buf_printf(buf, "\\%c", *text);
        return 1;
    }
    if (*text < ' ') {
        buf_printf(buf, "\\u%04x", *text);
        return 1;
    }
    if (*text < 0x80) {
        buf_add(buf, text, 1);
        return 1;
    }
    length = utf8_length(text);
    if (length == 0) {
        buf_add_text(buf, "\xef\xbf\xbd");
        return 1;
    }
    buf_add(buf, text, length);
    return length;
}

void buf_add_json(struct buf *buf, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    buf_add_text(buf, "\"");
    while (*at)
        at += add_json_character(buf, at);
    buf_add_text(buf, "\"");
}
