/* Serving: look, ship when it is due, follow orders. And the flush, which is the same with the application
 * gone and the clock running.
 *
 * A snapshot is due an interval after the last one began, and not before ten times the last one's duration
 * has passed: a large directory must not be shipped without end. Nothing at all is published before the
 * backend has answered once (its initialisation is several transactions, and a state between them never boots
 * again). */
#include "snapshot/engine_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <poll.h>
#include <string.h>

enum {
    TICK_BUSY_MS = 50,   /* how often databases are tended while there are commits */
    TICK_IDLE_MS = 1000, /* a look for safety */
    BUSY_FOR_MS = 2000,
    FILES_EVERY_MS = 5000, /* full look where inotify doesn't reach */
    DURATIONS_BETWEEN = 10,
    RETRY_FIRST_MS = 500,
    RETRY_MAX_MS = 10000,
    DRAIN_SHIP_MS =
        2000, /* a snapshot that took longer isn't begun while draining: the flush makes one anyway */
};

struct pace {
    uint64_t begun_ms; /* when the last snapshot began; 0: none yet */
    uint64_t ended_ms;
    uint64_t duration_ms;
    uint64_t retry_ms; /* not before: after a failure */
    uint64_t backoff_ms;
    uint64_t moved_ms; /* when the position was last seen to move */
    uint64_t last_position;
    uint64_t scanned_ms;
};

/* Waits for an order, a file event or the tick. */
static void wait_for_work(struct engine *engine, uint64_t wait_ms)
{
    struct pollfd fds[2] = {
        {.fd = engine->order_fd, .events = POLLIN},
        {.fd = follower_watch_fd(engine->follower), .events = POLLIN},
    };

    if (poll(fds, 2, (int)wait_ms) > 0 && (fds[0].revents & POLLIN))
        (void)event_take(engine->order_fd);
}

static bool has_changes(struct engine *engine)
{
    return follower_position(engine->follower) != atomic_load(&engine->shipper.durable);
}

static uint64_t due_ms(const struct engine *engine, const struct pace *pace)
{
    uint64_t due = pace->retry_ms;

    if (pace->begun_ms == 0)
        return due;
    if (pace->begun_ms + engine->config.sync_interval_ms > due)
        due = pace->begun_ms + engine->config.sync_interval_ms;
    if (pace->ended_ms + DURATIONS_BETWEEN * pace->duration_ms > due)
        due = pace->ended_ms + DURATIONS_BETWEEN * pace->duration_ms;
    return due;
}

static void note_success(struct engine *engine, struct pace *pace)
{
    pace->ended_ms = clock_monotonic_ms();
    pace->duration_ms = pace->ended_ms - pace->begun_ms;
    pace->retry_ms = 0;
    pace->backoff_ms = 0;
    engine_set_degraded(engine, NULL);
    engine_note_durable(engine);
}

static void note_failure(struct engine *engine, struct pace *pace, const struct err *why)
{
    pace->backoff_ms = pace->backoff_ms == 0 ? RETRY_FIRST_MS : pace->backoff_ms * 2;
    if (pace->backoff_ms > RETRY_MAX_MS)
        pace->backoff_ms = RETRY_MAX_MS;
    pace->retry_ms = clock_monotonic_ms() + pace->backoff_ms;
    engine_set_degraded(engine, why);
}

/* What ends the run, where everything else is tried again: the store's refusal may be mended while the
 * application goes on, a lost log can't. */
static bool is_final(const struct err *err)
{
    return err->code == ERR_FENCED || err->code == ERR_CANCELED;
}

static bool remember_answer(struct engine *engine, struct err *err)
{
    if (engine->shipper.state.answered)
        return true;
    engine->shipper.state.answered = true;
    return shipper_save_state(&engine->shipper, err);
}

static bool ship(struct engine *engine, struct pace *pace, struct err *err)
{
    struct err why = {0};

    pace->begun_ms = clock_monotonic_ms();
    if (!remember_answer(engine, &why) || !shipper_ship(&engine->shipper, false, &why)) {
        note_failure(engine, pace, &why);
        if (!is_final(&why))
            return true;
        *err = why;
        return false;
    }
    note_success(engine, pace);
    /* Pruning only costs space when it fails; the next one repeats it. */
    if (!shipper_prune(&engine->shipper, &why) && is_final(&why)) {
        *err = why;
        return false;
    }
    return true;
}

/* Where inotify doesn't reach, only a comparison on a timer finds what has changed. */
static bool look_by_hand(struct engine *engine, struct pace *pace, struct err *err)
{
    uint64_t now_ms = clock_monotonic_ms();
    bool differs = false;

    if (!follower_is_partial(engine->follower) || now_ms - pace->scanned_ms < FILES_EVERY_MS)
        return true;
    pace->scanned_ms = now_ms;
    if (!shipper_differs(&engine->shipper, &differs, err))
        return false;
    if (differs && !has_changes(engine))
        follower_note_change(engine->follower);
    return true;
}

static void look(struct engine *engine, struct pace *pace)
{
    struct tree *before = engine->shipper.has_previous ? engine->shipper.previous.tree : NULL;
    bool steady = true;
    struct err why = {0};
    uint64_t position;

    if (!follower_refresh(engine->follower, false, before, NULL, &steady, &why) ||
        !look_by_hand(engine, pace, &why))
        engine_set_degraded(engine, &why);
    follower_tend(engine->follower);
    if (!shipper_follow_logs(&engine->shipper, &why))
        engine_set_degraded(engine, &why);
    position = follower_position(engine->follower);
    if (position != pace->last_position)
        pace->moved_ms = clock_monotonic_ms();
    pace->last_position = position;
}

static uint64_t tick_ms(struct engine *engine, const struct pace *pace, bool wanted)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t tick = now_ms - pace->moved_ms < BUSY_FOR_MS ? TICK_BUSY_MS : TICK_IDLE_MS;
    uint64_t due = due_ms(engine, pace);

    if (wanted && due > now_ms && due - now_ms < tick)
        tick = due - now_ms;
    return wanted && due <= now_ms ? 0 : tick;
}

/* Tells rivals how long the end will take. A store that is away is no reason to end before the flush. */
static bool announce_drain(struct engine *engine, uint64_t budget_ms, struct err *err)
{
    struct err why = {0};

    if (shipper_drain(&engine->shipper, budget_ms, &why) || !is_final(&why))
        return true;
    *err = why;
    return false;
}

/* While draining only what is quick: the flush ships everything in any case. */
static bool wants_to_ship(struct engine *engine, const struct engine_orders *orders, const struct pace *pace)
{
    return orders->answered && has_changes(engine) && (!orders->drain || pace->duration_ms < DRAIN_SHIP_MS);
}

/* The files and databases of a running application, until the sidecar says that it is gone. */
static bool serve(struct engine *engine, struct pace *pace, struct err *err)
{
    bool drained = false;

    for (;;) {
        struct engine_orders orders = engine_orders(engine);
        bool wanted;
        if (engine->canceled && atomic_load(engine->canceled))
            return err_set(err, ERR_CANCELED, "stopped");
        if (orders.drain && !drained && !announce_drain(engine, orders.drain_budget_ms, err))
            return false;
        drained = orders.drain;
        if (orders.flush)
            return true;
        look(engine, pace);
        wanted = wants_to_ship(engine, &orders, pace);
        if (wanted && (orders.drain ? pace->retry_ms : due_ms(engine, pace)) <= clock_monotonic_ms()) {
            if (!ship(engine, pace, err))
                return false;
            continue;
        }
        if (orders.answered && engine->status.phase == ENGINE_RESTORED)
            engine_set_phase(engine, ENGINE_SERVING);
        wait_for_work(engine, tick_ms(engine, pace, wanted));
    }
}

static bool ship_the_rest(struct engine *engine, struct err *err)
{
    bool differs = false;

    if (!shipper_differs(&engine->shipper, &differs, err))
        return false;
    if (!differs && !has_changes(engine) && engine->shipper.deletions.count == 0)
        return true;
    return shipper_ship(&engine->shipper, true, err);
}

/* The store may be slow or away: try until the time is up. What can't succeed is tried as well, since an
 * operator may mend it meanwhile. */
static bool flush(struct engine *engine, const struct engine_orders *orders, struct err *err)
{
    uint64_t deadline_ms = clock_monotonic_ms() + orders->flush_budget_ms;
    bool shipped = !orders->answered;

    engine_set_phase(engine, ENGINE_FLUSHING);
    for (;;) {
        struct err why = {0};
        if (!shipped) {
            engine_set_step(engine, "shipping the last changes");
            shipped = ship_the_rest(engine, &why);
            if (shipped)
                engine_note_durable(engine);
        }
        if (shipped && shipper_close(&engine->shipper, &why))
            return true;
        engine_set_degraded(engine, &why);
        if (is_final(&why) || clock_monotonic_ms() + RETRY_FIRST_MS >= deadline_ms) {
            *err = why;
            return err_wrap(err, shipped ? "end the log" : "ship the last changes");
        }
        (void)poll(NULL, 0, RETRY_FIRST_MS);
    }
}

bool engine_serve(struct engine *engine, struct err *err)
{
    struct pace pace = {.moved_ms = clock_monotonic_ms()};
    struct engine_orders orders;

    if (!serve(engine, &pace, err))
        return false;
    orders = engine_orders(engine);
    return flush(engine, &orders, err);
}
