#include "sidecar/events.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Raised by the kernel against the instruction that we are at: blocked, they would kill without a word or be
 * lost. */
static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

static void fill_mask(sigset_t *mask)
{
    sigfillset(mask);
    for (size_t at = 0; at < sizeof(faults) / sizeof(faults[0]); at++)
        sigdelset(mask, faults[at]);
}

void events_block_signals(void)
{
    sigset_t mask;
    int failed;

    fill_mask(&mask);
    failed = sigprocmask(SIG_SETMASK, &mask, NULL);
    assert(!failed);
    (void)signal(SIGCHLD, SIG_DFL); /* inherited as ignored, children would vanish before they are reaped */
}

bool events_open(struct events *events, struct err *err)
{
    sigset_t mask;

    *events = (struct events)EVENTS_INIT;
    fill_mask(&mask);
    events->fds[EVENT_SIGNAL] = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (events->fds[EVENT_SIGNAL] < 0)
        return err_errno(err, "signalfd");
    return true;
}

void events_clear(struct events *events)
{
    close_fdp(&events->fds[EVENT_SIGNAL]);
    events->fds[EVENT_SIGNAL] = -1;
}

void events_watch(struct events *events, enum event_kind kind, int event_fd)
{
    assert(kind == EVENT_ENGINE || kind == EVENT_PROXY);
    events->fds[kind] = event_fd;
}

static bool take_signal(int signal_fd, struct event *ret_event)
{
    struct signalfd_siginfo info;

    if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return false;
    if (info.ssi_signo == SIGCHLD)
        *ret_event = (struct event){.kind = EVENT_CHILD};
    else
        *ret_event = (struct event){.kind = EVENT_SIGNAL, .signal = (int)info.ssi_signo};
    return true;
}

static int timeout_until(uint64_t deadline_ms)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (deadline_ms == EVENTS_NO_DEADLINE)
        return -1;
    if (deadline_ms <= now_ms)
        return 0;
    return deadline_ms - now_ms > INT_MAX ? INT_MAX : (int)(deadline_ms - now_ms);
}

static bool take_news(const struct events *events, struct event *ret_event)
{
    for (enum event_kind kind = EVENT_ENGINE; kind < EVENT_KINDS; kind++) {
        if (events->fds[kind] >= 0 && event_take(events->fds[kind])) {
            *ret_event = (struct event){.kind = kind};
            return true;
        }
    }
    return false;
}

struct event events_wait(struct events *events, uint64_t deadline_ms)
{
    struct event event = {.kind = EVENT_TIME};

    while (true) {
        struct pollfd waiting[EVENT_KINDS];
        int timeout_ms = timeout_until(deadline_ms);
        for (size_t kind = 0; kind < EVENT_KINDS; kind++)
            waiting[kind] = (struct pollfd){.fd = events->fds[kind], .events = POLLIN};
        (void)poll(waiting, EVENT_KINDS, timeout_ms);
        if (take_signal(events->fds[EVENT_SIGNAL], &event) || take_news(events, &event))
            return event;
        if (timeout_until(deadline_ms) == 0)
            return event;
    }
}
