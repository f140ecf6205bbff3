/* What the child leaves behind: processes that left its group (setsid), and their children. The state of the
 * data directory is final only when none of them can write any more.
 *
 * Orphans come to us, as PID 1 or as their sub-reaper; so our children are all that is left, and killing a
 * process brings its own children to us in the next round. The kernel lists them in
 * /proc/self/task/<thread>/children (proc(5)); a process that we haven't reaped keeps its number, so the kill
 * can't miss. Without /proc what is left in the group was killed already. */
#include "sidecar/child.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SWEEP_ROUND_MS = 20 };

static void close_dirp(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
}

static void kill_children_of(const char *thread)
{
    char path[64];
    CLEANUP(close_filep) FILE *list = NULL;
    int pid;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/children", thread);
    list = fopen(path, "re");
    while (list && fscanf(list, "%d", &pid) == 1) /* NOLINT(cert-err34-c): the kernel's own digits */
        if (pid > 1)
            (void)kill(pid, SIGKILL);
}

static void kill_children(void)
{
    CLEANUP(close_dirp) DIR *threads = opendir("/proc/self/task");
    const struct dirent *entry;

    while (threads && (entry = readdir(threads)))
        if (entry->d_name[0] != '.')
            kill_children_of(entry->d_name);
}

/* Until a child has ended or the round is over. SIGCHLD is blocked, so none is missed. */
static void wait_for_end(void)
{
    const struct timespec round = {.tv_nsec = (long)(SWEEP_ROUND_MS * NS_PER_MS)};
    sigset_t ended;

    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    (void)sigtimedwait(&ended, NULL, &round);
}

static bool has_children(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

bool child_sweep(struct child *child, uint64_t limit_ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + limit_ms;
    bool alone;

    (void)child_reap(child);
    while ((alone = !has_children()) == false && clock_monotonic_ms() < deadline_ms) {
        kill_children();
        wait_for_end();
        (void)child_reap(child);
    }
    child_clear(child);
    return alone;
}
