/* From nothing to a data directory that is right and a log that is ours.
 *
 * The decision is made before the takeover and acted upon after it: until start_confirm() says that the
 * takeover counts, not a byte outside .holdfast/ is touched and nothing but the open is written to the store.
 * What is fetched in between waits in memory. */
#include "snapshot/engine_internal.h"

#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/decide.h"
#include "snapshot/local.h"
#include "snapshot/start.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

enum { VOID_ROUNDS_MAX = 20, FREEZE_MS = 10000 };

#define CLOCK_SKEW_MAX_NS ((int64_t)(15 * 60 * (int64_t)NS_PER_SECOND))
/* Left free for the application when a restore has ended. */
#define DISK_RESERVE_BYTES (UINT64_C(16) << 20)

/* What the start knows about this disk and what it means to do. */
struct opening {
    struct engine *engine;
    struct start start;
    struct state state;
    bool has_state;
    bool directory_empty;
    enum decision decision;
    struct restore *restore;
};

static void opening_clear(struct opening *opening)
{
    mutex_locked(&opening->engine->mutex);
    opening->engine->restore = NULL;
    pthread_mutex_unlock(&opening->engine->mutex);
    restore_free(opening->restore);
    opening->restore = NULL;
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
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;

    *ret_shipped = data != 0 && data == state->shipped.position;
    if (*ret_shipped || data == 0 || data != state->sending.position)
        return true;
    /* The position alone proves nothing: another owner's record may have taken it. */
    if (!log_read(opening->start.store, &opening->start.lineage, data, &bytes, &record, err))
        return false;
    *ret_shipped = memcmp(record.hash.bytes, state->sending.hash.bytes, HASH_SIZE) == 0;
    return true;
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
        .adopt = opening->engine->config.adopt,
    };

    if (facts.same_lineage && facts.has_base && !shipped_last(opening, &facts.shipped_last, err))
        return false;
    return decide_start(&facts, &opening->decision, err);
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

static bool wants_restore(enum decision decision)
{
    return decision == DECIDE_RESTORE || decision == DECIDE_RESTORE_OVER;
}

static bool check_disk(const struct opening *opening, struct err *err)
{
    uint64_t needed = manifest_state_bytes(&opening->start.manifest) + DISK_RESERVE_BYTES;
    uint64_t available = 0;

    if (!fs_free_bytes(opening->engine->directory_fd, &available, err))
        return false;
    if (available >= needed || opening->state.restoring == RESTORING_IN_PLACE)
        return true;
    return err_set(err, ERR_CONFIG,
                   "not enough disk: the restore needs %" PRIu64 " MiB and HOLDFAST_DATA_DIR has %" PRIu64
                   " MiB free; use a larger disk",
                   needed >> 20, available >> 20);
}

/* Fetching may begin: what arrives waits in memory for the takeover. */
static bool begin_restore(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;

    if (!start_load_manifest(&opening->start, err) || !check_disk(opening, err) ||
        !restore_open(opening->start.store, &opening->start.manifest, NULL, NULL, engine->canceled,
                      &opening->restore, err))
        return false;
    mutex_locked(&engine->mutex);
    engine->restore = opening->restore;
    pthread_mutex_unlock(&engine->mutex);
    return true;
}

static bool prepare_start(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;
    bool moved = false;

    opening->start = (struct start){
        .config = &engine->config,
        .store = engine->patient,
        .pool = engine->pool,
        .canceled = engine->canceled,
        .owner = engine->shipper.owner,
        .remembered = opening->has_state && opening->state.restoring == RESTORING_NOT
                          ? &opening->state.confirmed
                          : NULL,
        .remembered_hash = &opening->state.confirmed_hash,
        .step = say_step,
        .step_context = engine,
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
    return !wants_restore(opening->decision) || begin_restore(opening, err);
}

/* A takeover may go behind a record that we hadn't seen: its base may be another one, and what it changed
 * another reason to decide. */
static bool follow_claim(struct opening *opening, uint64_t surveyed, struct err *err)
{
    if (opening->start.head == surveyed)
        return true;
    mutex_locked(&opening->engine->mutex);
    opening->engine->restore = NULL;
    pthread_mutex_unlock(&opening->engine->mutex);
    restore_free(opening->restore);
    opening->restore = NULL;
    opening->start.has_manifest = false;
    if (!decide(opening, err))
        return false;
    return !wants_restore(opening->decision) || begin_restore(opening, err);
}

static bool take_over(struct opening *opening, struct err *err)
{
    for (int round = 0; round < VOID_ROUNDS_MAX; round++) {
        enum start_verdict verdict = START_VOID;
        uint64_t surveyed;
        if (!prepare_start(opening, err))
            return false;
        surveyed = opening->start.log.newest.position;
        if (!start_claim(&opening->start, err)) {
            if (err->code != ERR_NOT_FOUND)
                return false;
        } else if (!follow_claim(opening, surveyed, err) || !start_confirm(&opening->start, &verdict, err)) {
            return false;
        }
        if (verdict == START_OWNER)
            return true;
        opening_clear(opening);
        start_init(&opening->start);
    }
    return err_set(err, ERR_TRANSIENT, "the log moves faster than this container can take over");
}

static void name_aside(char *name, size_t size)
{
    char time[CLOCK_TEXT_SIZE];

    clock_format(clock_unix_ns(), time);
    for (char *at = time; *at; at++)
        if (*at == ':')
            *at = '-';
    (void)snprintf(name, size, "%s", time);
}

/* The mark is durable before the first file is touched. */
static bool mark_restoring(struct opening *opening, enum state_restoring how, struct err *err)
{
    struct state *state = &opening->state;

    if (state->restoring == RESTORING_NOT || how == RESTORING_IN_PLACE)
        state->aside[0] = '\0';
    state->restoring = how;
    if (how == RESTORING_ASIDE && !state->aside[0])
        name_aside(state->aside, sizeof(state->aside));
    state->lineage = opening->start.lineage;
    state->answered = true;
    return state_save(opening->engine->directory_fd, state, err);
}

static bool finish_place(struct opening *opening, struct place *place, struct manifest *manifest,
                         struct err *err)
{
    CLEANUP(freep) const char **databases = xcalloc(manifest->databases_count, sizeof(databases[0]));
    size_t set_aside = 0;
    char text[256];

    for (size_t at = 0; at < manifest->databases_count; at++)
        databases[at] = manifest->databases[at].path;
    if (!place_finish(place, manifest->tree, databases, manifest->databases_count, &set_aside, err))
        return false;
    if (set_aside > 0) {
        (void)snprintf(
            text, sizeof(text),
            "what was here and is not in the store was set aside in .holdfast/aside/%s (%zu paths)",
            opening->state.aside, set_aside);
        engine_warn(opening->engine, text);
    }
    return true;
}

static bool restore_directory(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;
    struct manifest *manifest = &opening->start.manifest;
    enum state_restoring how =
        opening->decision == DECIDE_RESTORE && opening->state.restoring != RESTORING_ASIDE
            ? RESTORING_IN_PLACE
            : RESTORING_ASIDE;
    CLEANUP(place_freep) struct place *place = NULL;
    uint64_t begun_ms = clock_monotonic_ms();

    engine_set_step(engine, "restoring %zu databases and %zu files, %" PRIu64 " MiB, as of record %" PRIu64,
                    manifest->databases_count, tree_count(manifest->tree),
                    manifest_state_bytes(manifest) >> 20, opening->start.log.newest.data_position);
    if (!mark_restoring(opening, how, err) ||
        !place_begin(engine->directory_fd, how == RESTORING_ASIDE ? opening->state.aside : NULL,
                     engine->config.exclude, &place, err) ||
        !restore_release(opening->restore, place, err) || !restore_wait(opening->restore, err) ||
        !finish_place(opening, place, manifest, err))
        return err_wrap(err, "restore");
    opening->state.restoring = RESTORING_NOT;
    mutex_locked(&engine->mutex);
    engine->status.restore_ms = clock_monotonic_ms() - begun_ms;
    engine->status.progress = 1;
    pthread_mutex_unlock(&engine->mutex);
    return true;
}

/* An unfinished first boot, or data that must make way: all of it goes aside. */
static bool set_all_aside(struct opening *opening, struct err *err)
{
    struct manifest nothing;
    CLEANUP(place_freep) struct place *place = NULL;
    bool done;

    manifest_init(&nothing);
    if (!nothing.tree)
        nothing.tree = tree_new();
    done = mark_restoring(opening, RESTORING_ASIDE, err) &&
           place_begin(opening->engine->directory_fd, opening->state.aside, opening->engine->config.exclude,
                       &place, err) &&
           finish_place(opening, place, &nothing, err);
    manifest_clear(&nothing);
    opening->state.restoring = RESTORING_NOT;
    opening->state.answered = false;
    return done;
}

static bool open_follower(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;
    struct follower *follower = NULL;
    struct follower_config config = {
        .directory_fd = engine->directory_fd,
        .directory_path = engine->config.data_directory,
        .exclude = engine->exclude,
        .databases = engine->databases,
        .canceled = engine->canceled,
        .warn = engine_warn,
        .warn_context = engine,
    };

    engine_set_step(engine, "attaching the databases");
    if (!follower_open(&config, &follower, err))
        return false;
    mutex_locked(&engine->mutex);
    engine->follower = follower;
    pthread_mutex_unlock(&engine->mutex);
    return true;
}

static void close_follower(struct engine *engine)
{
    struct follower *follower = engine->follower;

    mutex_locked(&engine->mutex);
    engine->follower = NULL;
    pthread_mutex_unlock(&engine->mutex);
    follower_free(follower);
}

/* Keeps what is here if it proves that it contains the newest state; else the store wins after all. */
static bool keep_if_proved(struct opening *opening, bool *ret_exact, struct err *err)
{
    struct engine *engine = opening->engine;
    const struct state *state = &opening->state;
    const struct state_point *point = opening->start.log.newest.data_position == state->shipped.position
                                          ? &state->shipped
                                          : &state->sending;
    struct manifest *manifest = &opening->start.manifest;
    struct local_match match;
    bool proven = false;

    if (!start_load_manifest(&opening->start, err) ||
        !local_compare(engine->directory_fd, manifest, &match, err) || !open_follower(opening, err) ||
        !local_prove(engine->follower, engine->directory_fd, manifest, point, &match, &proven, err))
        return false;
    *ret_exact = match.exact;
    if (proven)
        return true;
    engine_warn(
        engine,
        "this directory does not prove that it holds the newest state of the store, so the store wins");
    close_follower(engine);
    opening->decision = DECIDE_RESTORE_OVER;
    *ret_exact = true;
    return begin_restore(opening, err) && restore_directory(opening, err);
}

/* Brings the directory into the state that was decided. *ret_exact: its databases hold exactly what the store
 * has. */
static bool act(struct opening *opening, bool *ret_exact, struct err *err)
{
    switch (opening->decision) {
    case DECIDE_FIRST_BOOT:
        opening->state.answered = false;
        *ret_exact = true;
        return true;
    case DECIDE_NEW_FIRST_BOOT:
        *ret_exact = true;
        return set_all_aside(opening, err);
    case DECIDE_ADOPT:
    case DECIDE_NEW_LINEAGE:
    case DECIDE_KEEP:
        *ret_exact = false;
        return true;
    case DECIDE_KEEP_IF_PROVED:
        return keep_if_proved(opening, ret_exact, err);
    case DECIDE_RESTORE:
    case DECIDE_RESTORE_OVER:
        *ret_exact = true;
        return restore_directory(opening, err);
    }
    return false;
}

/* Points at the newest data record as shipped, with the marks that the databases have now: they were frozen
 * for that, for an instant. */
static bool note_shipped(struct shipper *shipper, struct err *err)
{
    uint64_t position = 0;

    if (!follower_freeze(shipper->follower, clock_monotonic_ms() + FREEZE_MS, &position, err))
        return false;
    shipper_remember_marks(shipper, &shipper->state.shipped);
    shipper->state.shipped.position = shipper->log.newest.data_position;
    follower_thaw(shipper->follower);
    return true;
}

static void begin_shipper(struct opening *opening)
{
    struct engine *engine = opening->engine;
    struct shipper *shipper = &engine->shipper;

    shipper->config = &engine->config;
    shipper->store = engine->patient;
    shipper->pool = engine->pool;
    shipper->canceled = engine->canceled;
    shipper->directory_fd = engine->directory_fd;
    shipper->follower = engine->follower;
    shipper_init(shipper, &opening->start.log, &opening->state);
    engine->owns_log = true;
}

/* The log, and what is known of the newest base, pass to the shipper. */
static bool hand_over(struct opening *opening, bool exact, struct err *err)
{
    struct engine *engine = opening->engine;
    struct shipper *shipper = &engine->shipper;
    bool keeps = opening->decision == DECIDE_KEEP_IF_PROVED;
    bool differs = !exact;

    if (!keeps) {
        state_point_clear(&opening->state.shipped);
        state_point_clear(&opening->state.sending);
    }
    if (wants_restore(opening->decision) && !local_identify(engine->directory_fd, engine->exclude,
                                                            engine->databases, &opening->start.manifest, err))
        return false;
    if (!engine->follower && !open_follower(opening, err))
        return false;
    begin_shipper(opening);
    if (opening->start.has_manifest && (keeps || wants_restore(opening->decision)))
        shipper_set_previous(shipper, &opening->start.manifest);
    if (exact && keeps && !shipper_differs(shipper, &differs, err))
        return false;
    if (exact && wants_restore(opening->decision) && !note_shipped(shipper, err))
        return false;
    engine->has_changes_at_start = differs;
    atomic_store(&shipper->durable, differs ? 0 : follower_position(engine->follower));
    return shipper_save_state(shipper, err);
}

static void report_takeover(struct engine *engine)
{
    MUTEX_GUARD(&engine->mutex);
    engine->status.epoch = engine->shipper.log.newest.epoch;
    engine->status.published = engine->shipper.log.newest.base.announced != 0;
    event_raise(engine->event_fd);
}

bool engine_begin(struct engine *engine, struct err *err)
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
    begun = look_at_directory(&opening, err) && take_over(&opening, err) && act(&opening, &exact, err) &&
            hand_over(&opening, exact, err);
    opening_clear(&opening);
    state_clear(&opening.state);
    if (begun)
        report_takeover(engine);
    return begun;
}
