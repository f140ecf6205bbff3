/* Pools of workers, and groups of tasks on them. */
#include "base/thread.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "tests/tap.h"

#include <poll.h>

struct crew {
    struct pool *pool;
    struct task_group group;
};

static void crew_close(struct crew *crew)
{
    pool_free(crew->pool);
}

#define CREW(name, workers, pending_max)                                \
    __attribute__((cleanup(crew_close))) struct crew name = {0};        \
    struct err err = {0};                                               \
    REQUIRE_OK(pool_open((workers), "worker", &name.pool, &err), &err); \
    group_init(&name.group, name.pool, (pending_max))

static bool count_run(void *context, struct err *err)
{
    (void)err;
    atomic_fetch_add((atomic_int *)context, 1);
    return true;
}

TEST(every_task_runs_once)
{
    static atomic_int runs;
    CREW(crew, 4, 8);

    EXPECT_OK(group_wait(&crew.group, &err), &err);
    for (int task = 0; task < 1000; task++)
        group_submit(&crew.group, count_run, &runs);
    EXPECT_OK(group_wait(&crew.group, &err), &err);
    EXPECT_INT(atomic_load(&runs), 1000);
}

static bool meet(void *context, struct err *err)
{
    (void)err;
    pthread_barrier_wait(context);
    return true;
}

TEST(workers_run_at_the_same_time)
{
    pthread_barrier_t barrier;
    CREW(crew, 3, 3);

    /* Fewer than three at once would never end. */
    pthread_barrier_init(&barrier, NULL, 3);
    for (int task = 0; task < 3; task++)
        group_submit(&crew.group, meet, &barrier);
    EXPECT_OK(group_wait(&crew.group, &err), &err);
    pthread_barrier_destroy(&barrier);
}

struct crowd {
    pthread_mutex_t mutex;
    int inside;
    int most;
};

static bool visit_crowd(void *context, struct err *err)
{
    struct crowd *crowd = context;

    (void)err;
    mutex_locked(&crowd->mutex);
    crowd->inside++;
    if (crowd->inside > crowd->most)
        crowd->most = crowd->inside;
    pthread_mutex_unlock(&crowd->mutex);
    (void)sched_yield();
    MUTEX_GUARD(&crowd->mutex);
    crowd->inside--;
    return true;
}

TEST(a_group_never_has_more_under_way_than_it_may)
{
    struct crowd crowd = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    CREW(crew, 4, 2);

    for (int task = 0; task < 2000; task++)
        group_submit(&crew.group, visit_crowd, &crowd);
    EXPECT_OK(group_wait(&crew.group, &err), &err);
    EXPECT(crowd.most >= 1 && crowd.most <= 2);
    EXPECT_INT(crowd.inside, 0);
}

static bool fail_with_context(void *context, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "%s", (const char *)context);
}

TEST(the_first_error_is_the_one_that_is_told)
{
    static char first[] = "first", second[] = "second";
    CREW(crew, 1, 8); /* one worker: the order is certain */

    EXPECT(!group_failed(&crew.group));
    group_submit(&crew.group, fail_with_context, first);
    group_submit(&crew.group, fail_with_context, second);
    EXPECT(!group_wait(&crew.group, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_STR(err.text, "first");
}

static bool note_failure(void *context, struct err *err)
{
    struct crew *crew = context;

    return group_failed(&crew->group) ? err_set(err, ERR_CANCELED, "seen")
                                      : err_set(err, ERR_SYSTEM, "not seen");
}

TEST(tasks_after_a_failure_still_run_and_see_it)
{
    static char first[] = "first";
    static atomic_int runs;
    CREW(crew, 1, 8);

    group_submit(&crew.group, fail_with_context, first);
    group_submit(&crew.group, note_failure, &crew);
    group_submit(&crew.group, count_run, &runs);
    EXPECT(!group_wait(&crew.group, &err));
    EXPECT_STR(err.text, "first");
    EXPECT_INT(atomic_load(&runs), 1);
}

TEST(a_group_can_be_used_again_after_a_failure)
{
    static char first[] = "first";
    static atomic_int runs;
    CREW(crew, 2, 4);

    group_submit(&crew.group, fail_with_context, first);
    EXPECT(!group_wait(&crew.group, &err));
    EXPECT(!group_failed(&crew.group));
    group_submit(&crew.group, count_run, &runs);
    err = (struct err){0};
    EXPECT_OK(group_wait(&crew.group, &err), &err);
    EXPECT_INT(err.code, ERR_NONE);
    EXPECT_INT(atomic_load(&runs), 1);
}

TEST(groups_of_one_pool_fail_apart)
{
    static char first[] = "first";
    static atomic_int runs;
    struct task_group other;
    CREW(crew, 2, 4);

    group_init(&other, crew.pool, 4);
    group_submit(&crew.group, fail_with_context, first);
    group_submit(&other, count_run, &runs);
    EXPECT_OK(group_wait(&other, &err), &err);
    EXPECT(!group_wait(&crew.group, &err));
    EXPECT_INT(atomic_load(&runs), 1);
}

/* --- something to do while waiting -------------------------------------------------------------------------
 */

struct errand {
    atomic_uint calls;
    unsigned wanted;
    pthread_t caller;
    bool was_caller;
};

static void run_errand(void *context)
{
    struct errand *errand = context;

    errand->was_caller = pthread_equal(errand->caller, pthread_self());
    atomic_fetch_add(&errand->calls, 1);
}

/* Ends only when it was done often enough. */
static bool wait_for_errands(void *context, struct err *err)
{
    struct errand *errand = context;
    uint64_t deadline_ms = clock_monotonic_ms() + 20000;

    while (atomic_load(&errand->calls) < errand->wanted && clock_monotonic_ms() < deadline_ms)
        (void)poll(NULL, 0, 1);
    return atomic_load(&errand->calls) >= errand->wanted || err_set(err, ERR_SYSTEM, "nothing was done");
}

TEST(who_waits_for_a_task_does_something_meanwhile_on_its_own_thread)
{
    struct errand errand = {.wanted = 3, .caller = pthread_self()};
    struct meanwhile meanwhile = {run_errand, &errand, 1};
    CREW(crew, 1, 1);

    EXPECT_OK(pool_run(crew.pool, &meanwhile, wait_for_errands, &errand, &err), &err);
    EXPECT(errand.was_caller);
}

TEST(so_does_who_waits_for_room_in_a_group)
{
    struct errand errand = {.wanted = 2, .caller = pthread_self()};
    struct meanwhile meanwhile = {run_errand, &errand, 1};
    CREW(crew, 1, 1);

    group_set_meanwhile(&crew.group, &meanwhile);
    group_submit(&crew.group, wait_for_errands, &errand);
    group_submit(&crew.group, wait_for_errands, &errand);
    EXPECT(atomic_load(&errand.calls) >= errand.wanted);
    EXPECT_OK(group_wait(&crew.group, &err), &err);
}

static bool do_little(void *context, struct err *err)
{
    (void)context;
    (void)err;
    return true;
}

TEST(tasks_that_end_all_the_time_do_not_keep_it_from_being_done)
{
    struct errand errand = {.wanted = 1, .caller = pthread_self()};
    struct meanwhile meanwhile = {run_errand, &errand, 1};
    uint64_t deadline_ms = clock_monotonic_ms() + 20000;
    CREW(crew, 1, 2);

    group_set_meanwhile(&crew.group, &meanwhile);
    while (atomic_load(&errand.calls) == 0 && clock_monotonic_ms() < deadline_ms)
        group_submit(&crew.group, do_little, NULL);
    EXPECT(atomic_load(&errand.calls) > 0);
    EXPECT_OK(group_wait(&crew.group, &err), &err);
}

TEST(without_a_pool_a_task_runs_at_once)
{
    struct errand errand = {.wanted = 0};
    struct meanwhile meanwhile = {run_errand, &errand, 1};
    struct err err = {0};

    EXPECT_OK(pool_run(NULL, &meanwhile, wait_for_errands, &errand, &err), &err);
    EXPECT_INT(atomic_load(&errand.calls), 0);
}

TEST(freeing_a_pool_finishes_what_was_submitted)
{
    static atomic_int runs;
    struct pool *pool = NULL;
    struct task_group group;
    struct err err = {0};

    REQUIRE_OK(pool_open(2, "worker", &pool, &err), &err);
    group_init(&group, pool, 1000);
    for (int task = 0; task < 1000; task++)
        group_submit(&group, count_run, &runs);
    pool_free(pool);
    EXPECT_INT(atomic_load(&runs), 1000);
    pool_free(NULL);
}

TAP_MAIN()
