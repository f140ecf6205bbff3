#include "sidecar/job.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/thread.h"
#include "sidecar/events.h"

#include <signal.h>
#include <string.h>

struct job {
    bool (*work)(void *context, struct err *err);
    void *context;
    int done_fd;
    bool succeeded;
    struct err err;
    atomic_bool done;
};

static void *work(void *context)
{
    struct job *job = context;

    job->succeeded = job->work(job->context, &job->err);
    atomic_store(&job->done, true);
    event_raise(job->done_fd);
    return NULL;
}

static void await(struct job *job, struct events *events, atomic_bool *canceled, int *ret_signal)
{
    while (!atomic_load(&job->done)) {
        struct event event = events_wait(events, EVENTS_NO_DEADLINE);
        if (event.kind != EVENT_SIGNAL ||
            (event.signal != SIGINT && event.signal != SIGTERM && event.signal != SIGHUP))
            continue;
        log_info("SIG%s: stopping", sigabbrev_np(event.signal));
        *ret_signal = event.signal;
        atomic_store(canceled, true);
    }
}

bool job_run(bool (*run)(void *context, struct err *err), void *context, atomic_bool *canceled,
             int *ret_signal, struct err *err)
{
    CLEANUP(close_fdp) int done_fd = -1;
    CLEANUP(events_clear) struct events events = EVENTS_INIT;
    struct job job = {.work = run, .context = context};
    pthread_t thread;

    *ret_signal = 0;
    if (!events_open(&events, err) || !event_open(&done_fd, err))
        return false;
    job.done_fd = done_fd;
    events_watch(&events, EVENT_ENGINE, done_fd);
    if (!thread_start(&thread, "job", work, &job, err))
        return false;
    await(&job, &events, canceled, ret_signal);
    pthread_join(thread, NULL);
    if (!job.succeeded)
        *err = job.err;
    return job.succeeded;
}
