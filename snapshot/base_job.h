/* A base that is cut by a thread of its own, while records go on.
 *
 * It repeats the state at the newest record: the databases are frozen at exactly that state, and the files
 * are those of its tree. The job has copies of all that it needs, and reads pages only as long as it is
 * allowed to: once base_job_stop_reading() has returned, the databases may be thawed, or detached.
 *
 * All calls are those of the thread that owns the databases; none waits for the store but base_job_free(). */
#ifndef SNAPSHOT_BASE_JOB_H
#define SNAPSHOT_BASE_JOB_H

#include "snapshot/base.h"

struct base_job;

/* All but the log and the state is borrowed until base_job_free(). */
struct base_job_plan {
    struct store *store; /* without retry */
    struct pool *pool;
    int directory_fd;
    const struct log *log; /* nothing is in flight; its newest record is P */
    const struct id *owner;
    _Atomic uint64_t *next_n;
    const struct manifest *state;          /* at P; its databases are the frozen ones, in the same order */
    const struct base_database *databases; /* copied */
    size_t databases_count;
    int event_fd; /* raised when all pages have been read, and when it is over */
};

bool base_job_start(const struct base_job_plan *plan, struct base_job **ret_job, struct err *err) CHECKED;
/* base_job_leave(), and waits for its end: as long as a request of the store's that is under way. NULL is
 * fine.
 */
void base_job_free(struct base_job *job);

bool base_job_reads(const struct base_job *job, const struct database *database);
/* Whether every page has been read. */
bool base_job_has_read(const struct base_job *job);
/* Waits for reads that are under way; what is still to be read fails. */
void base_job_stop_reading(struct base_job *job);
/* The same, and tells it to end: it removes what it has stored, as it does after a failure. */
void base_job_cancel(struct base_job *job);
/* The same, but all that stays where it is, for the next owner to sweep: there is no time, or no right, left.
 */
void base_job_leave(struct base_job *job);
/* Whether its thread has nothing left to do. */
bool base_job_is_over(const struct base_job *job);
/* How it ended, once it is over (asserted). The result is the job's, or whose it is moved to. ERR_CORRUPT:
 * what the log says of the state can't be had, or is not what the databases hold; only a base that restarts
 * the state helps. */
bool base_job_result(struct base_job *job, struct base_result **ret_result, struct err *err) CHECKED;

#endif
