/* Serving: look, ship when it is due, follow orders. And the flush, which is the same with the application
 * gone and the clock running.
 *
 * A record is due an interval after the last one began; a base not before ten times the last one's duration
 * has passed: a large directory must not be shipped without end. Nothing at all is published before the
 * backend has answered once (its initialisation is several transactions, and a state between them never boots
 * again). */
#include "snapshot/engine_internal.h"

#include "base/clock.h"
#include "snapshot/store/config.h"

#include <assert.h>
#include <poll.h>
#include <string.h>

enum {
    TICK_BUSY_MS = 50,   /* how often databases are tended while there are changes */
    TICK_RUSHED_MS = 5,  /* … while their logs grow by many MB between two ticks */
    TICK_IDLE_MS = 1000, /* a look for safety */
    BUSY_FOR_MS = 2000,
    FILES_EVERY_MS = 5000, /* full look where inotify doesn't reach */
    RETRY_FIRST_MS = 500,
    RETRY_MAX_MS = 10000,
    DRAIN_SHIP_MS =
        2000, /* a snapshot that took longer isn't begun while draining: the flush makes one anyway */
};

struct pace {
    uint64_t begun_ms; /* when the last snapshot began; 0: none yet */
    uint64_t duration_ms;
    uint64_t retry_ms; /* not before: after a failure */
    uint64_t backoff_ms;
    uint64_t moved_ms; /* when the position was last seen to move */
    uint64_t last_position;
    uint64_t scanned_ms;
    bool rests;   /* what work had taken was given back */
    bool blind;   /* the last look failed */
    bool prunes;  /* there may be something to prune */
    bool drained; /* the drain record is out, or was given up */
};

/* Waits for an order, a file event or the tick. While changes come in anyway, the tick is enough: an
 * application that writes all the time would wake us all the time. */
static void wait_for_work(struct engine *engine, const struct pace *pace, uint64_t wait_ms)
{
    struct pollfd fds[2] = {
        {.fd = engine->order_fd, .events = POLLIN},
        {.fd = follower_watch_fd(engine->follower), .events = POLLIN},
    };
    nfds_t count = clock_monotonic_ms() - pace->moved_ms < BUSY_FOR_MS ? 1 : 2;

    if (poll(fds, count, (int)wait_ms) > 0 && (fds[0].revents & POLLIN))
        (void)event_take(engine->order_fd);
}

static bool has_changes(struct engine *engine)
{
    return follower_position(engine->follower) != atomic_load(&engine->shipper.shipped);
}

/* When the next snapshot may begin. While draining nothing waits for the interval. */
static uint64_t due_ms(struct engine *engine, const struct pace *pace, bool draining)
{
    uint64_t due = pace->retry_ms, free_ms = yielding_until_ms(&engine->shipper.yielding);

    if (draining || pace->begun_ms == 0)
        return due;
    if (free_ms > due)
        due = free_ms;
    if (pace->begun_ms + engine->config.sync_interval_ms > due)
        due = pace->begun_ms + engine->config.sync_interval_ms;
    if (shipper_wants_base(&engine->shipper) && shipper_base_due_ms(&engine->shipper) > due)
        due = shipper_base_due_ms(&engine->shipper);
    return due;
}

static void note_success(struct engine *engine, struct pace *pace)
{
    pace->duration_ms = clock_monotonic_ms() - pace->begun_ms;
    pace->retry_ms = 0;
    pace->backoff_ms = 0;
    pace->blind = false;
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

/* What was interrupted by an order is neither a success nor a fault: the order comes first, then it is begun
 * again. */
static bool was_interrupted(const struct engine *engine, const struct err *why)
{
    return why->code == ERR_CANCELED && !engine_is_final(engine, why);
}

static bool ship(struct engine *engine, struct pace *pace, struct err *err)
{
    struct err why = {0};

    pace->begun_ms = clock_monotonic_ms();
    if (shipper_ship(&engine->shipper, false, &why)) {
        note_success(engine, pace);
        pace->prunes = true;
        return true;
    }
    if (was_interrupted(engine, &why))
        return true;
    note_failure(engine, pace, &why);
    if (!engine_is_final(engine, &why))
        return true;
    *err = why;
    return false;
}

static bool check_head(struct engine *engine, struct pace *pace, struct err *err)
{
    struct err why = {0};
    bool landed = false;

    if (shipper_check_head(&engine->shipper, atomic_load(&engine->traffic), &landed, &why)) {
        if (landed)
            note_success(engine, pace);
        return true;
    }
    if (!engine_is_final(engine, &why))
        return true;
    *err = why;
    return false;
}

/* Where inotify doesn't reach, only a comparison on a timer finds what has changed. */
static bool look_by_hand(struct engine *engine, struct pace *pace, struct err *err)
{
    uint64_t now_ms = clock_monotonic_ms();
    bool differs = false;

    if (!follower_is_partial(engine->follower) || now_ms - pace->scanned_ms < FILES_EVERY_MS)
        return true;
    pace->scanned_ms = now_ms;
    if (!shipper_differs(&engine->shipper, false, &differs, err))
        return false;
    if (differs && !has_changes(engine))
        follower_note_change(engine->follower);
    return true;
}

/* What can't be looked at (a file that may not be read) can't be shipped: that is said at once, not only when
 * a change is due, and taken back when it is mended. */
static void look(struct engine *engine, struct pace *pace)
{
    bool was_blind = pace->blind;
    struct err why = {0};
    uint64_t position;

    pace->blind = !shipper_look(&engine->shipper, &why) || !look_by_hand(engine, pace, &why) ||
                  !shipper_collect(&engine->shipper, &why);
    if (pace->blind && !was_interrupted(engine, &why))
        engine_set_degraded(engine, &why);
    else if (was_blind && pace->backoff_ms == 0)
        engine_set_degraded(engine, NULL);
    shipper_tend_beside(&engine->shipper);
    follower_tend(engine->follower);
    shipper_follow_logs(&engine->shipper);
    shipper_follow_gone(&engine->shipper);
    position = follower_position(engine->follower);
    if (position != pace->last_position)
        pace->moved_ms = clock_monotonic_ms();
    pace->last_position = position;
}

/* An idle holdfast is small. */
static void rest(struct engine *engine, struct pace *pace)
{
    bool rests = clock_monotonic_ms() - pace->moved_ms >= BUSY_FOR_MS;

    if (rests && !pace->rests) {
        outbox_rest(engine->shipper.outbox);
        memory_release();
    }
    pace->rests = rests;
}

static uint64_t tick_ms(struct engine *engine, const struct pace *pace, bool wants_to_ship, bool draining)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t tick = now_ms - pace->moved_ms < BUSY_FOR_MS ? TICK_BUSY_MS : TICK_IDLE_MS;
    uint64_t due = due_ms(engine, pace, draining);

    if (follower_is_rushed(engine->follower))
        tick = TICK_RUSHED_MS;
    if (!wants_to_ship || due >= now_ms + tick)
        return tick;
    return due > now_ms ? due - now_ms : 0;
}

/* The drain record says to a successor how long to wait; without one it doesn't wait at all, so a failure
 * changes nothing here. What is in flight then is sent again before anything else. */
static bool drain(struct engine *engine, struct pace *pace, const struct engine_orders *orders,
                  struct err *err)
{
    struct err why = {0};

    if (pace->drained || !orders->drain)
        return true;
    pace->drained =
        shipper_drain(&engine->shipper, orders->drain_budget_ms, &why) || !was_interrupted(engine, &why);
    if (!engine_is_final(engine, &why))
        return true;
    *err = why;
    return false;
}

/* One round: follow orders, look, and ship if that is due; then wait. *ret_over: the flush was ordered. */
static bool serve_once(struct engine *engine, struct pace *pace, bool *ret_over, struct err *err)
{
    struct engine_orders orders = engine_orders(engine);
    bool wants_to_ship;

    if (engine->canceled && atomic_load(engine->canceled))
        return err_set(err, ERR_CANCELED, "stopped");
    if (orders.answered)
        shipper_note_answer(&engine->shipper);
    if (!drain(engine, pace, &orders, err))
        return false;
    *ret_over = orders.flush;
    if (orders.flush)
        return true;
    if (!check_head(engine, pace, err))
        return false;
    look(engine, pace);
    engine_note_left_out(engine);
    engine_note_change(engine);
    shipper_want_base(&engine->shipper, orders.drain ? 0 : orders.bases_asked);
    wants_to_ship = orders.answered && (has_changes(engine) || shipper_has_base(&engine->shipper)) &&
                    (!orders.drain || pace->duration_ms < DRAIN_SHIP_MS);
    if (wants_to_ship && due_ms(engine, pace, orders.drain) <= clock_monotonic_ms())
        return ship(engine, pace, err);
    if (orders.answered)
        engine_set_phase(engine, ENGINE_SERVING);
    if (pace->prunes && orders.answered && !orders.drain)
        shipper_prune(&engine->shipper, &pace->prunes);
    if (orders.answered && !orders.drain)
        shipper_pack(&engine->shipper);
    rest(engine, pace);
    wait_for_work(engine, pace, tick_ms(engine, pace, wants_to_ship, orders.drain));
    return true;
}

static bool ship_the_rest(struct engine *engine, struct err *err)
{
    bool differs = false;

    if (!shipper_differs(&engine->shipper, true, &differs, err))
        return false;
    return (!differs && !has_changes(engine)) || shipper_ship(&engine->shipper, true, err);
}

static bool flush_once(struct engine *engine, bool *shipped, struct err *err)
{
    if (!*shipped) {
        engine_set_step(engine, "shipping the last changes");
        if (!ship_the_rest(engine, err))
            return false;
        *shipped = true;
        engine_note_durable(engine);
    }
    return shipper_close(&engine->shipper, err);
}

/* The store may be slow or away: try until the time is up. What can't succeed is tried as well, since an
 * operator may mend it meanwhile. */
static bool flush(struct engine *engine, const struct engine_orders *orders, struct err *err)
{
    bool shipped = !orders->answered;

    engine_set_phase(engine, ENGINE_FLUSHING);
    follower_try_again(engine->follower);
    shipper_end_beside(&engine->shipper);
    store_retry_until(engine->serving, orders->flush_until_ms);
    for (;;) {
        struct err why = {0};
        if (flush_once(engine, &shipped, &why))
            return !orders->answered || engine_has_all(engine, err);
        if (!was_interrupted(engine, &why))
            engine_set_degraded(engine, &why);
        if (engine_is_final(engine, &why) ||
            clock_monotonic_ms() + RETRY_FIRST_MS >= orders->flush_until_ms) {
            *err = why;
            return err_wrap(err, shipped ? "end the log" : "ship the last changes");
        }
        (void)engine_orders(engine);
        if (!clock_pause(RETRY_FIRST_MS, engine->canceled))
            return err_set(err, ERR_CANCELED, "stopped before everything was shipped");
    }
}

bool engine_serve(struct engine *engine, struct err *err)
{
    struct pace pace = {.moved_ms = clock_monotonic_ms(), .prunes = true};
    struct engine_orders orders;
    bool over = false;

    while (!over) {
        if (serve_once(engine, &pace, &over, err))
            continue;
        shipper_end_beside(&engine->shipper);
        return false;
    }
    orders = engine_orders(engine);
    return flush(engine, &orders, err);
}
