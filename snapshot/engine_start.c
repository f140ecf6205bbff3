/* From nothing to a data directory that is right and a log that is ours.
 *
 * The decision is made before the takeover and acted upon after it: until start_confirm() says that the
 * takeover counts, not a byte outside .holdfast/ is touched and nothing but the open is written to the store.
 * What is fetched in between waits in memory. */
#include "snapshot/opening.h"

#include "base/clock.h"
#include "snapshot/archive.h"
#include "snapshot/store/config.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

enum { VOID_ROUNDS_MAX = 20, CLOSE_PAUSE_MS = 500 };

#define CLOCK_SKEW_MAX_NS ((int64_t)(15 * 60 * (int64_t)NS_PER_SECOND))

static void opening_clear(struct opening *opening)
{
    opening_end_restore(opening);
    start_clear(&opening->start);
}

static void say_step(void *context, const char *text)
{
    engine_set_step(context, "%s", text);
}

static bool look_at_directory(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;
    struct err why = {0};

    if (!place_is_empty(engine->directory_fd, engine->config.exclude, &opening->directory_empty, err))
        return false;
    opening->has_state = state_load(engine->directory_fd, &opening->state, &why);
    if (opening->has_state)
        return true;
    state_init(&opening->state);
    if (why.code == ERR_CORRUPT) {
        /* It counts as none: then the table asks the operator instead of guessing. */
        engine_warn(engine, why.text);
        return true;
    }
    if (why.code == ERR_NOT_FOUND)
        return true;
    *err = why;
    return false;
}

/* Whether the newest record that changed data is one that this directory shipped, or was sending when it
 * stopped. */
static bool shipped_last(struct opening *opening, bool *ret_shipped, struct err *err)
{
    const struct state *state = &opening->state;
    uint64_t data = opening->start.log.newest.data_position;
    CLEANUP(archive_clear)
    struct archive archive = archive_of(opening->start.store, &opening->start.lineage);
    struct record record;

    *ret_shipped = data != 0 && data == state->shipped.position;
    if (*ret_shipped || data == 0 || data != state->sending.position)
        return true;
    /* The position alone proves nothing: another owner's record may have taken it. */
    if (!archive_read(&archive, data, &record, err))
        return false;
    *ret_shipped = memcmp(record.hash.bytes, state->sending.hash.bytes, HASH_SIZE) == 0;
    return true;
}

/* Once for each value: the log says which one was carried out last. */
static bool wants_roll_back(const struct opening *opening)
{
    const struct point *wanted = &opening->engine->config.restore_at;

    return wanted->kind != POINT_NONE && !point_equal(wanted, &opening->start.log.newest.roll_back);
}

static bool decide(struct opening *opening, struct err *err)
{
    const struct start *start = &opening->start;
    struct decide_facts facts = {
        .store_empty = start->store_empty,
        .has_base = start->log.newest.base.announced != 0,
        .directory_empty = opening->directory_empty,
        .has_state = opening->has_state,
        .same_lineage =
            opening->has_state && !start->store_empty && id_equal(&opening->state.lineage, &start->lineage),
        .answered = opening->state.answered,
        .restoring = opening->state.restoring != RESTORING_NOT,
        .rolls_back = wants_roll_back(opening),
        .adopt = opening->engine->config.adopt,
    };

    start_set_goal(&opening->start, NULL, NULL);
    if (facts.same_lineage && facts.has_base && !shipped_last(opening, &facts.shipped_last, err))
        return false;
    opening->rolls_back = facts.rolls_back;
    return decide_start(&facts, &opening->decision, err) &&
           (!facts.rolls_back || opening_find_goal(opening, err));
}

static bool refuse_if_empty(void *context, struct err *err)
{
    return decide(context, err);
}

static bool check_clock(const struct opening *opening, struct err *err)
{
    int64_t skew_ns = store_clock_skew_ns(opening->engine->config.store);
    int64_t minutes = skew_ns / (60 * (int64_t)NS_PER_SECOND);

    if (skew_ns <= CLOCK_SKEW_MAX_NS && skew_ns >= -CLOCK_SKEW_MAX_NS)
        return true;
    return err_set(err, ERR_CONFIG,
                   "the clock of this machine is %" PRId64
                   " minutes %s the clock of HOLDFAST_STORE; set it right (NTP)",
                   minutes < 0 ? -minutes : minutes, minutes < 0 ? "ahead of" : "behind");
}

static bool prepare_start(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;
    bool moved = false;

    opening->start = (struct start){
        .config = &engine->config,
        .store = engine->patient,
        .pool = engine->pool,
        .canceled = &engine->given_up,
        .owner = engine->shipper.owner,
        .remembered = opening->has_state && opening->state.restoring == RESTORING_NOT
                          ? &opening->state.confirmed
                          : NULL,
        .remembered_hash = &opening->state.confirmed_hash,
        .step = say_step,
        .warn = engine_warn,
        .context = engine,
        .patience = opening->start.patience,
    };
    start_init(&opening->start);
    engine_set_step(engine, "reading the store");
    do {
        start_clear(&opening->start);
        start_init(&opening->start);
        if (!start_survey(&opening->start, true, refuse_if_empty, opening, err) ||
            !check_clock(opening, err) || !decide(opening, err) || !start_wait(&opening->start, &moved, err))
            return false;
    } while (moved);
    return !opening_wants_restore(opening->decision) || opening_begin_restore(opening, err);
}

/* A takeover may go behind a record that we hadn't seen: its base may be another one, and what it changed
 * another reason to decide. */
static bool follow_claim(struct opening *opening, uint64_t surveyed, struct err *err)
{
    if (opening->start.head == surveyed)
        return true;
    opening->start.store_empty = false; /* it was when we looked; somebody else boots here too */
    opening_end_restore(opening);
    start_forget_manifest(&opening->start);
    if (!decide(opening, err))
        return false;
    return !opening_wants_restore(opening->decision) || opening_begin_restore(opening, err);
}

static bool take_over(struct opening *opening, struct err *err)
{
    for (int round = 0; round < VOID_ROUNDS_MAX; round++) {
        enum start_verdict verdict = START_VOID;
        uint64_t surveyed;
        if (!prepare_start(opening, err))
            return false;
        surveyed = opening->start.log.newest.position;
        if (opening->decision == DECIDE_KEEP_IF_PROVED)
            start_prefetch_manifest(&opening->start);
        if (opening->decision == DECIDE_KEEP_IF_PROVED && !opening_begin_records(opening, err))
            return false;
        if (!start_claim(&opening->start, err)) {
            if (err->code != ERR_NOT_FOUND)
                return false;
        } else if (!follow_claim(opening, surveyed, err) || !start_confirm(&opening->start, &verdict, err)) {
            return false;
        }
        opening->counts = verdict == START_OWNER;
        if (opening->counts)
            return true;
        opening_clear(opening);
        start_init(&opening->start);
    }
    return err_set(err, ERR_TRANSIENT, "the log moves faster than this container can take over");
}

static void report_takeover(struct engine *engine, const struct opening *opening)
{
    MUTEX_GUARD(&engine->mutex);
    if (engine->config.restore_at.kind != POINT_NONE)
        engine->status.roll_back = opening->rolls_back ? ROLL_BACK_DONE : ROLL_BACK_EARLIER;
    engine->status.taken_from = opening->taken_from;
    engine->status.epoch = engine->shipper.log.newest.epoch;
    engine->status.published = engine->shipper.log.newest.base.announced != 0;
    event_raise(engine->event_fd);
}

static bool append_close(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;
    struct log *log = &opening->start.log;
    struct log_change change = {.kind = RECORD_CLOSE};

    if (engine->owns_log)
        return shipper_close(&engine->shipper, err);
    log->store = engine->serving;
    if (!log_in_flight(log))
        log_freeze(log, &engine->shipper.owner, &change);
    return log_send(log, err);
}

/* Before the takeover counts there is nothing to close. Without the close the next owner would take this for
 * a crash, and in a duel wait for it. */
static bool end_early(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;
    struct engine_orders orders = engine_orders(engine);
    struct err why = {0};

    if (!opening->counts)
        return true;
    engine_set_step(engine, "closing the log");
    store_retry_until(engine->serving, orders.flush_until_ms);
    while (!append_close(opening, &why)) {
        if (why.code == ERR_FENCED || clock_monotonic_ms() + CLOSE_PAUSE_MS >= orders.flush_until_ms ||
            !clock_pause(CLOSE_PAUSE_MS, engine->canceled)) {
            *err = why;
            return err_wrap(err, "end the log");
        }
    }
    return true;
}

static bool stop_came(struct engine *engine, const struct err *why)
{
    MUTEX_GUARD(&engine->mutex);
    return why->code == ERR_CANCELED && engine->orders.flush;
}

bool engine_begin(struct engine *engine, bool *ret_over, struct err *err)
{
    struct opening opening = {.engine = engine};
    bool exact = false;
    bool begun;

    engine->shipper.owner = id_random();
    mutex_locked(&engine->mutex);
    id_format(&engine->shipper.owner, engine->status.owner);
    pthread_mutex_unlock(&engine->mutex);
    state_init(&opening.state);
    opening.start.config = &engine->config;
    opening.start.store = engine->patient;
    start_init(&opening.start);
    begun = look_at_directory(&opening, err) && take_over(&opening, err) &&
            opening_act(&opening, &exact, err) && opening_hand_over(&opening, exact, err);
    if (begun)
        report_takeover(engine, &opening);
    *ret_over = !begun && stop_came(engine, err);
    if (*ret_over)
        begun = end_early(&opening, err);
    opening_clear(&opening);
    opening_end_follower(&opening);
    state_clear(&opening.state);
    return begun;
}
