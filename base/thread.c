#include "base/thread.h"

#include "base/buf.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

pthread_mutex_t *mutex_locked(pthread_mutex_t *mutex)
{
    int failed = pthread_mutex_lock(mutex);

    assert(!failed);
    return mutex;
}

void mutex_unlockp(pthread_mutex_t **mutex)
{
    int failed = pthread_mutex_unlock(*mutex);

    assert(!failed);
}

bool thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *context,
                  struct err *err)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int failed;

    /* 256 KiB: zstd and libcurl keep their state on the heap; libs3 with our signer needs about 50 KiB
     * (measured). */
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(ret_thread, &attributes, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (failed) {
        errno = failed;
        return err_errno(err, "start the thread %s", name);
    }
    (void)pthread_setname_np(*ret_thread, name);
    return true;
}

bool event_open(int *ret_fd, struct err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return err_errno(err, "eventfd");
    *ret_fd = fd;
    return true;
}

void event_raise(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof(one));

    assert(written == (ssize_t)sizeof(one) || errno == EAGAIN);
}

bool event_take(int fd)
{
    uint64_t count;

    return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

bool event_wait(int fd, int timeout_ms)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);
    int ready;

    do {
        ready = poll(&waiting, 1, timeout_ms);
        if (ready < 0 && timeout_ms > 0) {
            uint64_t now_ms = clock_monotonic_ms();
            timeout_ms = now_ms >= deadline_ms ? 0 : (int)(deadline_ms - now_ms);
        }
    } while (ready < 0 && errno == EINTR);
    return event_take(fd);
}

struct task {
    struct task *next;
    struct task_group *group;
    bool (*run)(void *context, struct err *err);
    void *context;
};

struct pool {
    pthread_mutex_t mutex; /* guards the queue and stopping */
    pthread_cond_t queued;
    struct task *first;
    struct task **tail;
    bool stopping;
    unsigned workers;
    pthread_t threads[];
};

static struct task *next_task(struct pool *pool)
{
    struct task *task;

    MUTEX_GUARD(&pool->mutex);
    while (!pool->first && !pool->stopping)
        pthread_cond_wait(&pool->queued, &pool->mutex);
    task = pool->first;
    if (task) {
        pool->first = task->next;
        if (!pool->first)
            pool->tail = &pool->first;
    }
    return task;
}

static void finish_task(struct task_group *group, bool succeeded, const struct err *err)
{
    MUTEX_GUARD(&group->mutex);
    if (!succeeded && !atomic_load(&group->failed)) {
        group->err = *err;
        atomic_store(&group->failed, true);
    }
    assert(group->pending > 0);
    group->pending--;
    pthread_cond_broadcast(&group->done);
}

static void *work(void *context)
{
    struct pool *pool = context;
    struct task *task;

    while ((task = next_task(pool))) {
        struct err err = {0};
        bool succeeded = task->run(task->context, &err);
        finish_task(task->group, succeeded, &err);
        free(task);
    }
    return NULL;
}

bool pool_open(unsigned workers, const char *name, struct pool **ret_pool, struct err *err)
{
    struct pool *pool = xcalloc(1, sizeof(*pool) + workers * sizeof(pool->threads[0]));

    assert(workers > 0);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->queued, NULL);
    pool->tail = &pool->first;
    for (; pool->workers < workers; pool->workers++) {
        if (!thread_start(&pool->threads[pool->workers], name, work, pool, err)) {
            pool_free(pool);
            return false;
        }
    }
    *ret_pool = pool;
    return true;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    mutex_locked(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->queued);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned worker = 0; worker < pool->workers; worker++)
        pthread_join(pool->threads[worker], NULL);
    assert(!pool->first);
    pthread_cond_destroy(&pool->queued);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

void group_init(struct task_group *group, struct pool *pool, size_t pending_max)
{
    assert(pending_max > 0);
    *group = (struct task_group){.pool = pool, .pending_max = pending_max};
    pthread_mutex_init(&group->mutex, NULL);
    pthread_cond_init(&group->done, NULL);
}

void group_set_meanwhile(struct task_group *group, const struct meanwhile *meanwhile)
{
    group->meanwhile = *meanwhile;
    group->due_ms = clock_monotonic_ms() + meanwhile->every_ms;
}

/* Condition variables wait on the wall clock. */
static struct timespec wall_clock_in(uint64_t ms)
{
    uint64_t until_ns = clock_unix_ns() + ms * NS_PER_MS;

    return (struct timespec){.tv_sec = (time_t)(until_ns / NS_PER_SECOND),
                             .tv_nsec = (long)(until_ns % NS_PER_SECOND)};
}

/* Until something ends or something is to be done meanwhile, which is done. The mutex is held, but for that.
 */
static void wait_a_while(struct task_group *group)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct timespec until;

    if (!group->meanwhile.call) {
        pthread_cond_wait(&group->done, &group->mutex);
        return;
    }
    if (now_ms < group->due_ms) {
        until = wall_clock_in(group->due_ms - now_ms);
        (void)pthread_cond_timedwait(&group->done, &group->mutex, &until);
        return;
    }
    pthread_mutex_unlock(&group->mutex);
    group->meanwhile.call(group->meanwhile.context);
    mutex_locked(&group->mutex);
    group->due_ms = clock_monotonic_ms() + group->meanwhile.every_ms;
}

void group_submit(struct task_group *group, bool (*run)(void *context, struct err *err), void *context)
{
    struct task *task = xmalloc(sizeof(*task));

    *task = (struct task){.group = group, .run = run, .context = context};
    mutex_locked(&group->mutex);
    while (group->pending >= group->pending_max)
        wait_a_while(group);
    group->pending++;
    pthread_mutex_unlock(&group->mutex);

    MUTEX_GUARD(&group->pool->mutex);
    assert(!group->pool->stopping);
    *group->pool->tail = task;
    group->pool->tail = &task->next;
    pthread_cond_signal(&group->pool->queued);
}

bool group_failed(struct task_group *group)
{
    return atomic_load(&group->failed);
}

bool group_wait_for(struct task_group *group, uint64_t timeout_ms)
{
    struct timespec until = wall_clock_in(timeout_ms);
    int late = 0;

    MUTEX_GUARD(&group->mutex);
    while (group->pending > 0 && !late)
        late = pthread_cond_timedwait(&group->done, &group->mutex, &until);
    return group->pending == 0;
}

bool group_wait(struct task_group *group, struct err *err)
{
    bool failed;

    MUTEX_GUARD(&group->mutex);
    while (group->pending > 0)
        wait_a_while(group);
    failed = atomic_load(&group->failed);
    if (failed)
        *err = group->err;
    atomic_store(&group->failed, false);
    return !failed;
}

bool pool_run(struct pool *pool, const struct meanwhile *meanwhile,
              bool (*run)(void *context, struct err *err), void *context, struct err *err)
{
    struct task_group group;

    if (!pool)
        return run(context, err);
    group_init(&group, pool, 1);
    group_set_meanwhile(&group, meanwhile);
    group_submit(&group, run, context);
    return group_wait(&group, err);
}
