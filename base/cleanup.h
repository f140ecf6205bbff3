/* Ownership that ends with the scope.
 *
 * A local that owns something says so on the line that declares it, and is initialised there:
 *
 *     CLEANUP(freep) char *text = NULL;
 *     CLEANUP(close_fdp) int fd = -1;
 *
 * Every early return then releases what was acquired so far and nothing else; there is no unwinding ladder to
 * keep in step with the code above it. MOVE() hands a pointer on, MOVE_FD() a descriptor. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(release) __attribute__((cleanup(release)))

/* Defines nounp() for a noun_free() style destructor that accepts NULL. */
#define DEFINE_CLEANUP(type, release, name)    \
    static inline void name(type const *owner) \
    {                                          \
        release(*owner);                       \
    }

#define MOVE(pointer)                           \
    (__extension__({                            \
        __typeof__(pointer) given_ = (pointer); \
        (pointer) = NULL;                       \
        given_;                                 \
    }))

#define MOVE_FD(fd)           \
    (__extension__({          \
        int given_fd_ = (fd); \
        (fd) = -1;            \
        given_fd_;            \
    }))

static inline void close_fdp(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* read-only or already synced: a late error has nobody left to tell */
}

static inline void freep(void *pointer)
{
    free(*(void **)pointer);
}

static inline void close_filep(FILE **file)
{
    if (*file)
        (void)fclose(*file);
}

#endif
