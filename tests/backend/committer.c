#include "tests/backend/committer.h"

#include "tests/backend/background.h"
#include "tests/backend/say.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COMBINE_FROM = 3 };

struct committer {
    struct persistence *persistence;
    struct writer *writer;
    struct committer_options options;
    struct background background; /* the committer's thread only */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards all below, and `done` and `next` of queued jobs */
    pthread_cond_t queued, committed;
    struct commit_job *first, **tail;
    size_t waiting;
    bool stopping;
    uint64_t commits;
};

/* Convex logs and returns from main() without draining or closing anything. */
static _Noreturn void die_of_failed_commit(const struct err *err)
{
    complain("Write failed. Unsure if transaction committed to disk. %s", err->text);
    complain("Received a fatal error. Shutting down immediately");
    _exit(0);
}

static void wait_for_work(struct committer *committer, uint64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};

    if (until_ms == UINT64_MAX)
        pthread_cond_wait(&committer->queued, &committer->mutex);
    else
        (void)pthread_cond_timedwait(&committer->queued, &committer->mutex, &until);
}

/* Unlinks what the next transaction holds: one job, or all of them if enough are waiting. Waits for work
 * until a background write is due; NULL then, or at the end. */
static struct commit_job *take_jobs(struct committer *committer, bool *ret_stopping)
{
    struct commit_job *jobs;
    uint64_t due_ms = background_next_ms(&committer->background);

    MUTEX_GUARD(&committer->mutex);
    while (!committer->first && !committer->stopping && clock_monotonic_ms() < due_ms)
        wait_for_work(committer, due_ms);
    *ret_stopping = committer->stopping;
    jobs = committer->first;
    if (!jobs)
        return NULL;
    committer->first = NULL;
    if (committer->waiting < COMBINE_FROM) {
        committer->first = jobs->next;
        jobs->next = NULL;
        committer->waiting--;
    } else {
        committer->waiting = 0;
    }
    if (!committer->first)
        committer->tail = &committer->first;
    return jobs;
}

static void announce(struct committer *committer, struct commit_job *jobs)
{
    MUTEX_GUARD(&committer->mutex);
    committer->commits++;
    while (jobs) {
        struct commit_job *next = jobs->next; /* a job that is done belongs to its thread again */
        jobs->done = true;
        jobs = next;
    }
    pthread_cond_broadcast(&committer->committed);
}

static void commit(struct committer *committer, struct commit_job *jobs)
{
    struct err err;

    writer_begin(committer->writer);
    for (struct commit_job *job = jobs; job; job = job->next)
        job->stage(job, committer->writer);
    if (!persistence_write(committer->persistence, &committer->writer->batch, &err))
        die_of_failed_commit(&err);
    announce(committer, jobs);
    background_note_commit(&committer->background, clock_monotonic_ms());
    if (committer->options.exit_after_commits &&
        committer->commits >= committer->options.exit_after_commits) {
        say("exiting after %" PRIu64 " commits", committer->commits);
        _exit(committer->options.exit_code);
    }
}

static void write_background(struct committer *committer)
{
    const char *global = background_take(&committer->background, clock_monotonic_ms());
    struct err err;
    char json[24];
    bool written;

    if (!global)
        return;
    (void)snprintf(json, sizeof(json), "%" PRIu64, clock_unix_ns());
    written = persistence_set_global(committer->persistence, global, json, &err);
    if (!written)
        complain("%s, trying again", err.text);
    background_done(&committer->background, global, written, clock_monotonic_ms());
}

static void *committer_loop(void *context)
{
    struct committer *committer = context;

    for (;;) {
        bool stopping;
        struct commit_job *jobs = take_jobs(committer, &stopping);
        if (jobs)
            commit(committer, jobs);
        else if (stopping)
            return NULL;
        write_background(committer);
    }
}

static void committer_init(struct committer *committer)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&committer->mutex, NULL);
    pthread_cond_init(&committer->queued, &monotonic);
    pthread_cond_init(&committer->committed, NULL);
    pthread_condattr_destroy(&monotonic);
    committer->tail = &committer->first;
}

bool committer_start(struct persistence *persistence, struct writer *writer,
                     const struct committer_options *options, struct committer **ret_committer,
                     struct err *err)
{
    struct committer *committer = xcalloc(1, sizeof(*committer));

    committer_init(committer);
    committer->persistence = persistence;
    committer->writer = writer;
    committer->options = *options;
    committer->background.enabled = options->background_writes;
    if (!thread_start(&committer->thread, "committer", committer_loop, committer, err)) {
        committer_free(committer);
        return false;
    }
    *ret_committer = committer;
    return true;
}

void committer_stop(struct committer *committer)
{
    if (!committer)
        return;
    {
        MUTEX_GUARD(&committer->mutex);
        committer->stopping = true;
        pthread_cond_broadcast(&committer->queued);
    }
    (void)pthread_join(committer->thread, NULL);
}

void committer_free(struct committer *committer)
{
    assert(!committer->first);
    pthread_cond_destroy(&committer->committed);
    pthread_cond_destroy(&committer->queued);
    pthread_mutex_destroy(&committer->mutex);
    writer_close(committer->writer);
    free(committer);
}

bool committer_run(struct committer *committer, struct commit_job *job, struct err *err)
{
    MUTEX_GUARD(&committer->mutex);
    if (committer->stopping)
        return err_set(err, ERR_CANCELED, "shutting down");
    job->done = false;
    job->next = NULL;
    *committer->tail = job;
    committer->tail = &job->next;
    committer->waiting++;
    pthread_cond_signal(&committer->queued);
    while (!job->done)
        pthread_cond_wait(&committer->committed, &committer->mutex);
    return true;
}

uint64_t committer_commits(struct committer *committer)
{
    MUTEX_GUARD(&committer->mutex);
    return committer->commits;
}
