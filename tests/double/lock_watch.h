/* Another process that looks all the time whether anybody holds a read mark or READ(0) on a database's
 * wal-index. */
#ifndef TESTS_DOUBLE_LOCK_WATCH_H
#define TESTS_DOUBLE_LOCK_WATCH_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

struct lock_watch_counts {
    _Atomic uint64_t looks;
    _Atomic uint64_t ours; /* of them: a lock of the test's process was seen */
    _Atomic uint64_t gaps; /* of them: nobody held any */
};

struct lock_watch {
    pid_t pid;
    struct lock_watch_counts *counts;
};

/* Starts watching path-shm, which must exist. Each look is one atomic question to the kernel. */
void lock_watch_start(struct lock_watch *watch, const char *path);
/* Returns after at least `looks` more. */
void lock_watch_wait(const struct lock_watch *watch, uint64_t looks);
void lock_watch_stop(struct lock_watch *watch);

#endif
