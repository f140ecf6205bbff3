/* Threads, as few verbs as the program needs: a worker pool for blocking work in parallel, and an event that
 * one thread raises and another polls. Every wait can be ended; nothing here installs a signal handler, and
 * threads start with all signals blocked, so that the main thread's signalfd sees every one. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Locks for a scope: `MUTEX_GUARD(&thing->mutex);`. */
#define MUTEX_GUARD(mutex) MUTEX_GUARD_AT(mutex, __LINE__)
#define MUTEX_GUARD_AT(mutex, line) MUTEX_GUARD_NAMED(mutex, line)
#define MUTEX_GUARD_NAMED(mutex, line) \
    __attribute__((cleanup(mutex_unlockp), unused)) pthread_mutex_t *guard_##line = mutex_locked(mutex)

pthread_mutex_t *mutex_locked(pthread_mutex_t *mutex);
void mutex_unlockp(pthread_mutex_t **mutex);

/* Starts a joinable thread named name (at most 15 characters) with every signal blocked. */
bool thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *context,
                  struct err *err) CHECKED;

/* An eventfd: raise from any thread, poll it for reading, take to reset it. */
bool event_open(int *ret_fd, struct err *err) CHECKED;
void event_raise(int fd);
/* True if it had been raised since the last take. */
bool event_take(int fd);
/* Waits until raised or for timeout_ms (-1: for ever); true if raised. Takes it. */
bool event_wait(int fd, int timeout_ms);

/* A fixed number of workers. */
struct pool;

bool pool_open(unsigned workers, const char *name, struct pool **ret_pool, struct err *err) CHECKED;
/* Waits for what was submitted, then ends the workers. NULL is fine. */
void pool_free(struct pool *pool);

/* What a thread does while it waits for others: call(context), every so often, on that thread. */
struct meanwhile {
    void (*call)(void *context); /* NULL: nothing */
    void *context;
    uint64_t every_ms;
};

/* A set of tasks that succeed or fail together. The first error is kept, and `failed` tells the others to
 * stop early. */
struct task_group {
    struct pool *pool;
    pthread_mutex_t mutex; /* guards pending and err */
    pthread_cond_t done;
    size_t pending;
    size_t pending_max;
    atomic_bool failed;
    struct err err;
    struct meanwhile meanwhile;
    uint64_t due_ms; /* of the next call */
};

/* At most pending_max tasks of this group are queued or running at once; group_submit() waits for room. */
void group_init(struct task_group *group, struct pool *pool, size_t pending_max);
/* What group_submit() and group_wait() do while they wait, from every_ms after this call on. It must not use
 * the group. */
void group_set_meanwhile(struct task_group *group, const struct meanwhile *meanwhile);
/* Runs `run(context, err)` on a worker, which owns context from here on. A group that has failed still runs
 * it: the task looks at group_failed() first and frees its context. */
void group_submit(struct task_group *group, bool (*run)(void *context, struct err *err), void *context);
bool group_failed(struct task_group *group);
/* Waits at most timeout_ms for all; true if none is left. group_wait() then says how it went. */
bool group_wait_for(struct task_group *group, uint64_t timeout_ms);
/* Waits for all; false with the first error if any failed. The group can be used again afterwards or dropped.
 */
bool group_wait(struct task_group *group, struct err *err) CHECKED;
/* Runs one task on a worker and waits for it, with something to do meanwhile. pool NULL: here, and nothing
 * meanwhile. */
bool pool_run(struct pool *pool, const struct meanwhile *meanwhile,
              bool (*run)(void *context, struct err *err), void *context, struct err *err) CHECKED;

#endif
