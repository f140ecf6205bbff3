#include "tests/double/lock_watch.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <assert.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The bytes that stand for READ(0) to READ(4) (https://sqlite.org/walformat.html#wal_locks). */
enum { FIRST_BYTE = 123, BYTES = 5 };

static void look(struct lock_watch_counts *counts, int fd, pid_t owner)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FIRST_BYTE, .l_len = BYTES};

    if (fcntl(fd, F_GETLK, &lock) != 0)
        abort();
    atomic_fetch_add(&counts->looks, 1);
    if (lock.l_type == F_UNLCK)
        atomic_fetch_add(&counts->gaps, 1);
    else if (lock.l_pid == owner)
        atomic_fetch_add(&counts->ours, 1);
}

void lock_watch_start(struct lock_watch *watch, const char *path)
{
    CLEANUP(freep) char *index = xasprintf("%s-shm", path);
    pid_t owner = getpid();

    watch->counts =
        mmap(NULL, sizeof(*watch->counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (watch->counts == MAP_FAILED)
        abort();
    watch->pid = fork();
    if (watch->pid == 0) {
        int fd = open(index, O_RDWR | O_CLOEXEC);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (fd < 0)
            abort();
        for (;;)
            look(watch->counts, fd, owner);
    }
    if (watch->pid < 0)
        abort();
}

void lock_watch_wait(const struct lock_watch *watch, uint64_t looks)
{
    uint64_t goal = atomic_load(&watch->counts->looks) + looks;

    while (atomic_load(&watch->counts->looks) < goal)
        (void)sched_yield();
}

void lock_watch_stop(struct lock_watch *watch)
{
    assert(watch->pid > 0); /* -1 would be everybody */
    (void)kill(watch->pid, SIGKILL);
    (void)waitpid(watch->pid, NULL, 0);
}
