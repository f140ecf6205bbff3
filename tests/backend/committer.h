/* The one thread that writes (facts/convex.md 2.3, 2.4): mutations queue up; when three or more wait they
 * share one transaction. A commit that fails ends the process, with exit status 0, as Convex's does.
 *
 * It also makes the writes that nobody asked for (2.7): max_repeatable_ts 2 ms after the first commit that
 * follows 5 s without such a write, and two later ones at 26 s and 54 s. */
#ifndef TESTS_BACKEND_COMMITTER_H
#define TESTS_BACKEND_COMMITTER_H

#include "tests/backend/writer.h"

struct committer;

struct committer_options {
    bool background_writes;
    uint64_t exit_after_commits; /* 0: never */
    int exit_code;
};

/* A commit: stage() runs on the committer's thread and adds its rows to writer->batch. */
struct commit_job {
    void (*stage)(struct commit_job *job, struct writer *writer);
    bool done;
    struct commit_job *next;
};

/* persistence is borrowed; writer is taken over. */
bool committer_start(struct persistence *persistence, struct writer *writer,
                     const struct committer_options *options, struct committer **ret_committer,
                     struct err *err) CHECKED;
/* Waits for what is queued, then ends the thread; later jobs are refused. NULL is fine. */
void committer_stop(struct committer *committer);
/* After committer_stop(), and only when no thread can call it any more. */
void committer_free(struct committer *committer);

/* Blocks until the job is committed; ERR_CANCELED when stopping. Any thread. */
bool committer_run(struct committer *committer, struct commit_job *job, struct err *err) CHECKED;

/* SQLite commits so far for mutations, background writes not counted. */
uint64_t committer_commits(struct committer *committer);

#endif
