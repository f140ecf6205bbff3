/* A growing byte buffer with a ceiling.
 *
 * Everything whose size comes from outside (an object, an answer, a file name list) is collected in one of
 * these, so that no peer decides how much memory we use. Above the ceiling, additions are dropped and
 * `overflowed` is set; the owner looks once, at the end (buf_check). Allocation failure aborts: fixed sizes
 * under overcommit don't fail in any way that a caller could act upon. Not thread-safe. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    size_t size_max;
    bool overflowed;
};

/* max: below SIZE_MAX, which leaves room for a terminator. */
#define BUF_INIT(max)     \
    {                     \
        .size_max = (max) \
    }

/* Frees the memory and makes it empty again; the ceiling stays. */
void buf_clear(struct buf *buf);
/* Empties it but keeps the memory for the next use. */
void buf_reset(struct buf *buf);

void buf_add(struct buf *buf, const void *bytes, size_t size);
void buf_add_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Adds text as a quoted JSON string; bytes that aren't UTF-8 become U+FFFD. */
void buf_add_json(struct buf *buf, const char *text);
/* Makes room for `size` bytes at the end and returns it, or NULL above the ceiling; the size is already
 * counted. */
uint8_t *buf_extend(struct buf *buf, size_t size);
/* A terminating NUL that isn't counted; valid until the next addition. Never NULL. */
const char *buf_text(struct buf *buf);

/* ERR_CORRUPT naming `what` if anything was dropped. */
bool buf_check(const struct buf *buf, const char *what, struct err *err) CHECKED;

/* malloc and friends that abort on failure: for objects of fixed, small size. */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* The address is a multiple of alignment, a power of two; so must size be (asserted). */
void *xaligned(size_t alignment, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *memory, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((malloc, returns_nonnull));

/* Once, before the first thread: large buffers are mapped and unmapped one by one instead of being kept in
 * heaps, of which glibc makes one for each thread; a program that works in bursts is small in between
 * (malloc_trim(3), mallopt(3)). */
void memory_configure(void);
/* Gives back to the kernel what a burst of work has left behind. Any thread. */
void memory_release(void);

static inline void buf_clearp(struct buf *buf)
{
    buf_clear(buf);
}

#endif
