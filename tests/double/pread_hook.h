/* Something happens before each pread(2) of this program, as if another process had been that quick. It
 * defines pread(), so one file of a program includes it. */
#ifndef TESTS_DOUBLE_PREAD_HOOK_H
#define TESTS_DOUBLE_PREAD_HOOK_H

#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static void (*_Atomic pread_hook)(void);
static _Atomic size_t pread_count;

/* Called by whichever thread reads. NULL: nothing happens. */
static void pread_hook_set(void (*hook)(void))
{
    atomic_store(&pread_hook, hook);
}

/* Named by the linker's symbol only: <bits/unistd.h> may declare pread inline, and clang then takes this for
 * it. */
ssize_t hooked_pread(int fd, void *bytes, size_t size, off_t offset) __asm__("pread64");

ssize_t hooked_pread(int fd, void *bytes, size_t size, off_t offset)
{
    void (*hook)(void) = atomic_load(&pread_hook);

    atomic_fetch_add(&pread_count, 1);
    if (hook)
        hook();
    return syscall(SYS_pread64, fd, bytes, size, offset);
}

#endif
