/* Making the data directory what was decided: restored, kept, adopted or set aside. All of it after the
 * takeover has counted, but for the fetching. */
#include "snapshot/opening.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "snapshot/local.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FREEZE_MS = 10000 };

static void show_restore(struct opening *opening)
{
    MUTEX_GUARD(&opening->engine->mutex);
    opening->engine->restore = opening->restore;
}

void opening_end_base(struct opening *opening)
{
    struct restore *restore = MOVE(opening->restore);

    show_restore(opening);
    restore_free(restore);
}

void opening_end_restore(struct opening *opening)
{
    opening_end_base(opening);
    chain_free(MOVE(opening->chain));
}

bool opening_wants_restore(enum decision decision)
{
    return decision == DECIDE_RESTORE || decision == DECIDE_RESTORE_OVER;
}

/* Fetching may begin: what arrives waits in memory for the takeover. */
bool opening_begin_restore(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;

    if (!start_load_manifest(&opening->start, err) || !opening_check_disk(opening, err) ||
        !restore_open(opening->start.store, &opening->start.manifest, NULL, NULL, &engine->given_up,
                      &opening->restore, err) ||
        !opening_begin_records(opening, err))
        return false;
    show_restore(opening);
    return true;
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
    gone_clear(&state->gone); /* what comes back is here again */
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
        (void)snprintf(text, sizeof(text), "what was here%s was set aside in .holdfast/aside/%s (%zu paths)",
                       opening->rolls_back ? "" : " and is not in the store", opening->state.aside,
                       set_aside);
        engine_warn(opening->engine, text);
    }
    return true;
}

/* Half a restore is nobody's state. The mark stays, and the next start begins with an empty directory. */
static void empty_again(const struct engine *engine)
{
    struct place *place = NULL;
    struct err ignored = {0};

    if (place_begin(engine->directory_fd, NULL, engine->config.exclude, &place, &ignored))
        place_free(place);
}

static bool restore_state(struct opening *opening, struct place *place, struct err *err)
{
    page_tables_expect(&opening->start.manifest);
    if (!restore_release(opening->restore, place, err))
        return false;
    if (opening->chain)
        restore_expect_more(opening->restore);
    return restore_wait(opening->restore, err) && opening_apply_records(opening, place, err);
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
    uint64_t begun_ms = clock_monotonic_ms(), available = 0;

    if (!fs_free_bytes(engine->directory_fd, &available, err))
        return false;
    engine_set_step(engine, "restoring %zu databases and %zu files, %" PRIu64 " MiB, as of record %" PRIu64,
                    manifest->databases_count, tree_count(manifest->tree),
                    manifest_state_bytes(manifest) >> 20, start_goal_header(&opening->start)->data_position);
    if (!mark_restoring(opening, how, err) ||
        !place_begin(engine->directory_fd, how == RESTORING_ASIDE ? opening->state.aside : NULL,
                     engine->config.exclude, &place, err) ||
        !restore_state(opening, place, err) || !finish_place(opening, place, manifest, err)) {
        opening_explain_failure(opening, available, err);
        opening_end_restore(opening);
        if (how == RESTORING_IN_PLACE)
            empty_again(engine);
        return false;
    }
    opening->state.restoring = RESTORING_NOT;
    mutex_locked(&engine->mutex);
    engine->status.restore_ms = clock_monotonic_ms() - begun_ms;
    engine->status.restored_bytes = manifest_state_bytes(manifest);
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
    return follower_open(&config, &opening->follower, err);
}

void opening_end_follower(struct opening *opening)
{
    follower_free(MOVE(opening->follower));
}

/* What was being sent when the last run ended has landed: it is what was shipped last. */
static void note_proven(struct state *state, const struct state_point *point)
{
    if (point != &state->sending)
        return;
    state_point_clear(&state->shipped);
    state->shipped = state->sending;
    state->sending = (struct state_point){0};
}

static void warn_of_doubt(struct engine *engine, const struct local_match *match)
{
    CLEANUP(freep)
    char *text = xasprintf(
        "this directory does not prove that it holds the newest state of the store (%s), so "
        "the store wins",
        match->doubt);

    engine_warn(engine, text);
}

/* Keeps what is here if it proves that it contains the newest state; else the store wins after all. */
static bool keep_if_proved(struct opening *opening, bool *ret_exact, struct err *err)
{
    struct engine *engine = opening->engine;
    struct state *state = &opening->state;
    struct state_point *point = opening->start.log.newest.data_position == state->shipped.position
                                    ? &state->shipped
                                    : &state->sending;
    struct manifest *manifest = &opening->start.manifest;
    struct local_question question = {
        .directory_fd = engine->directory_fd, .manifest = manifest, .point = point, .gone = &state->gone};
    struct local_match match;
    bool proven = false;

    if (!start_load_manifest(&opening->start, err) || !opening_begin_records(opening, err) ||
        !opening_apply_records(opening, NULL, err) ||
        !local_compare(engine->directory_fd, manifest, &match, err) || !open_follower(opening, err))
        return false;
    question.follower = opening->follower;
    if (!local_prove(&question, &match, &proven, err))
        return false;
    if (proven) {
        *ret_exact = match.exact;
        gone_keep(&state->gone, manifest, match.gone);
        note_proven(state, point);
        return true;
    }
    warn_of_doubt(engine, &match);
    opening_end_follower(opening);
    start_forget_manifest(&opening->start); /* it has become the state at the head */
    opening->decision = DECIDE_RESTORE_OVER;
    *ret_exact = true;
    return opening_begin_restore(opening, err) && restore_directory(opening, err);
}

/* Brings the directory into the state that was decided. *ret_exact: its databases hold exactly what the store
 * has. */
bool opening_act(struct opening *opening, bool *ret_exact, struct err *err)
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
        /* Somebody's data, not an unfinished first boot: should this run end before the backend answers, the
         * next one must not set it aside. */
        opening->state.answered = true;
        *ret_exact = false;
        return true;
    case DECIDE_KEEP:
        *ret_exact = false;
        return true;
    case DECIDE_KEEP_IF_PROVED:
        return keep_if_proved(opening, ret_exact, err);
    case DECIDE_RESTORE:
    case DECIDE_RESTORE_OVER:
        *ret_exact = true;
        return restore_directory(opening, err) &&
               (!opening->rolls_back || opening_learn_superseded(opening, err));
    }
    return false;
}

/* The tables of page hashes: of what was just restored, or of what lies here. */
static void begin_tables(struct shipper *shipper, bool restored)
{
    if (restored)
        page_tables_replace(&shipper->tables, &shipper->previous);
    else
        page_tables_load(&shipper->tables, &shipper->previous, shipper->log.newest.data_position);
}

/* From here on the databases are watched without a gap: they are frozen for an instant, which gives each a
 * mark. Where they hold exactly what the newest data record says, these marks are that record's, and every
 * commit from here on goes into the next. Where they hold more, that goes before it, or a base has to. */
static bool begin_marks(struct shipper *shipper, bool *exact, struct err *err)
{
    struct follower_frozen frozen;
    struct err no_difference = {0};

    if (!follower_freeze(shipper->follower, clock_monotonic_ms() + FREEZE_MS, &frozen, err))
        return false;
    if (!*exact && !shipper_add_difference(shipper, &frozen, exact, &no_difference))
        log_debug("a new base is needed: %s", no_difference.text);
    if (*exact) {
        shipper_make_tables(shipper);
        shipper_remember_shipped(shipper);
        /* Without tables a base does more for the next start than a record. */
        if (shipper_same_databases(shipper) || shipper->tables.work)
            shipper_begin_collecting(shipper);
    }
    follower_thaw(shipper->follower);
    shipper_follow_logs(shipper);
    return true;
}

static bool begin_shipper(struct opening *opening, struct err *err)
{
    struct engine *engine = opening->engine;
    struct shipper *shipper = &engine->shipper;

    mutex_locked(&engine->mutex);
    engine->follower = MOVE(opening->follower);
    pthread_mutex_unlock(&engine->mutex);
    shipper->config = &engine->config;
    shipper->store = engine->serving;
    shipper->pool = engine->pool;
    shipper->interrupted = &engine->interrupted;
    shipper->warn = engine_warn;
    shipper->warn_context = engine;
    shipper->directory_fd = engine->directory_fd;
    shipper->wake_fd = engine->order_fd;
    shipper->follower = engine->follower;
    engine->owns_log = shipper_init(shipper, &opening->start.log, &opening->state, err);
    return engine->owns_log;
}

/* The log, and what is known of the newest base, pass to the shipper. */
bool opening_hand_over(struct opening *opening, bool exact, struct err *err)
{
    struct engine *engine = opening->engine;
    struct shipper *shipper = &engine->shipper;
    bool restored = opening_wants_restore(opening->decision);
    bool keeps = opening->decision == DECIDE_KEEP_IF_PROVED;
    bool differs;

    if (!keeps) {
        state_point_clear(&opening->state.shipped);
        state_point_clear(&opening->state.sending);
        gone_clear(&opening->state.gone);
    }
    if (restored && !opening->rolls_back &&
        !local_identify(engine->directory_fd, engine->exclude, engine->databases, &opening->start.manifest,
                        err))
        return false;
    if (!opening->follower && !open_follower(opening, err))
        return false;
    if (!begin_shipper(opening, err))
        return false;
    if (opening->rolls_back)
        return opening_supersede(opening, err);
    if (opening->start.has_manifest && (keeps || restored)) {
        shipper_set_previous(shipper, &opening->start.manifest);
        begin_tables(shipper, restored);
        if (!begin_marks(shipper, &exact, err))
            return false;
    } else {
        page_tables_drop(&shipper->tables);
    }
    differs = !exact;
    if (exact && keeps && !shipper_differs(shipper, true, &differs, err))
        return false;
    /* The scan of the files belongs to what follows; so does whatever happens from here on. */
    shipper->file_changes = differs ? 0 : follower_file_changes(engine->follower);
    if (!differs)
        shipper_note_shipped(shipper, follower_position(engine->follower),
                             follower_left_out_since_ms(engine->follower));
    return shipper_save_state(shipper, err);
}
