/* Looking at the log for what comes next.
 *
 * The cheapest question is GET log/<next>: a 404 while nothing happens, and the record itself when something
 * does. But a 404 doesn't say that the copy stands at the head: what comes next may have been pruned while
 * nobody looked, and a claimant that stalled may have left its open in such a hole, with the very hash that
 * would follow. Only a LIST shows the head (docs/DESIGN.md, The log is the lock); so there is one at the
 * beginning and then one a minute.
 *
 * A record counts because it names the hash of the one before it. If the next one doesn't, there are two
 * cases. Our own record is still there: then what follows it is such a leftover, and the newest base is the
 * way on. Or it is not: then the store holds another history, and the copy may be all that is left of ours.
 * Nothing is thrown away for that, it is said. */
#include "snapshot/standby.h"

#include "base/clock.h"
#include "snapshot/archive.h"
#include "snapshot/log.h"
#include "snapshot/standby_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { LIST_EVERY_MS = 60000, PAUSE_MAX_MS = 5000, ALONE_MAX = 8 };

struct standby_point standby_point_of(const struct standby *standby)
{
    return (struct standby_point){standby->now.position, standby->now.time_ns};
}

uint64_t standby_pause_ms(uint64_t before_ms, uint64_t interval_ms, bool moved)
{
    uint64_t most = interval_ms > PAUSE_MAX_MS ? interval_ms : PAUSE_MAX_MS;
    uint64_t pause = moved || before_ms < interval_ms ? interval_ms : 2 * before_ms;

    if (pause == 0)
        pause = 1;
    return pause < most ? pause : most;
}

/* --- records into steps ------------------------------------------------------------------------------ */

/* Hands out the next record: from a chain, or one by one. *ret_end: there is none for now. */
struct source {
    struct standby *standby;
    struct chain *chain; /* NULL: one by one */
    struct buf bytes;
    uint64_t position; /* of the last record handed out, and its hash */
    struct digest hash;
    unsigned count;
};

static bool restarts(const struct record *record)
{
    return record->header.kind == RECORD_BASE && record->header.data_position == record->header.position;
}

static bool read_next(struct source *source, struct record *ret_record, bool *ret_end, struct err *err)
{
    struct standby *standby = source->standby;
    struct err why;

    if (source->count == ALONE_MAX) {
        standby->listed_ms = 0; /* there is so much that fetching in parallel pays */
        *ret_end = true;
        return true;
    }
    /* What was packed already is found by the next LIST. */
    if (!log_read(standby->config.store, &standby->now.lineage, source->position + 1, &source->bytes,
                  ret_record, &why)) {
        *ret_end = why.code == ERR_NOT_FOUND;
        return *ret_end || (*err = why, false);
    }
    if (!digest_equal(&ret_record->header.previous, &source->hash))
        return err_set(err, ERR_CORRUPT, "%s: it does not follow the record before it",
                       key_log(source->position + 1).text);
    return true;
}

static bool next_record(struct source *source, struct record *ret_record, bool *ret_end, struct err *err)
{
    *ret_end = false;
    if (source->chain ? !chain_next(source->chain, ret_record, ret_end, err)
                      : !read_next(source, ret_record, ret_end, err))
        return false;
    if (*ret_end)
        return true;
    source->position = ret_record->header.position;
    source->hash = ret_record->hash;
    source->count++;
    return true;
}

static bool begin_with_base(struct standby_step *step, const struct record *record, struct err *err)
{
    struct reader_base base = {.header = record->header, .hash = record->hash};
    bool begun;

    if (!record_base_body(record, &base.body, err))
        return false;
    begun = standby_step_base(step, &base, err);
    reader_base_clear(&base);
    return begun;
}

/* What came before a base that restarts the state is committed first: if that base can't be read, the copy is
 * as far as it can be. */
static bool add_record(struct standby_step *step, const struct record *record, struct err *err)
{
    struct standby *standby = step->standby;

    if (!restarts(record)) {
        if (standby_step_record(step, record, err))
            return true;
        /* What doesn't fit may be wrong in the record, or in the copy. */
        standby->distrusts = standby->distrusts || err->code == ERR_CORRUPT || err->code == ERR_NOT_FOUND;
        return false;
    }
    if (step->records > 0 && !standby_step_commit(step, err))
        return false;
    standby_step_clear(step);
    standby_step_init(step, standby);
    return begin_with_base(step, record, err);
}

/* All that the source has. The step holds a base already, or nothing. until: no commit before this record. */
static bool take_records(struct source *source, struct standby_step *step, uint64_t until, struct err *err)
{
    struct standby *standby = source->standby;
    struct record record;
    bool end = false;

    for (;;) {
        if (!next_record(source, &record, &end, err))
            return false;
        if (end)
            return (!step->replay && step->records == 0) || standby_step_commit(step, err);
        if (!add_record(step, &record, err))
            return false;
        if (!standby_step_is_full(step) || record.header.position < until)
            continue;
        if (!standby_step_commit(step, err))
            return false;
        standby_step_clear(step);
        standby_step_init(step, standby);
    }
}

static bool take_source(struct standby *standby, struct chain *chain, struct err *err)
{
    struct source source = {.standby = standby,
                            .chain = chain,
                            .bytes = BUF_INIT(RECORD_SIZE_MAX),
                            .position = standby->now.position,
                            .hash = standby->now.record};
    struct standby_step step;
    bool taken;

    standby_step_init(&step, standby);
    taken = take_records(&source, &step, 0, err);
    standby_step_clear(&step);
    buf_clear(&source.bytes);
    return taken;
}

/* --- the newest base --------------------------------------------------------------------------------- */

static bool take_plan(struct standby *standby, const struct reader_plan *plan, struct err *err)
{
    CLEANUP(chain_freep) struct chain *chain = NULL;
    struct source source = {.standby = standby, .bytes = BUF_INIT(1)};
    struct standby_step step;
    bool taken;

    standby_step_init(&step, standby);
    taken = standby_step_base(&step, &plan->base, err);
    if (taken) {
        /* The copy never goes back, not even on the way. */
        uint64_t least = standby->now.position;
        uint64_t until = step.after.position > least ? step.after.position : least;
        taken = reader_open_chain(standby->config.store, plan, &step.after, &chain, err);
        source.chain = chain;
        taken = taken && (chain ? take_records(&source, &step, until, err) : standby_step_commit(&step, err));
    }
    standby_step_clear(&step);
    return taken;
}

/* A store that was set back, or exchanged, isn't followed: see above. */
static bool check_store(const struct standby *standby, const struct reader_head *head, struct err *err)
{
    const struct manifest *now = &standby->now;

    if (now->position == 0)
        return true;
    if (!id_equal(&now->lineage, &head->lineage))
        return err_set(err, ERR_CONFIG,
                       "--to %s is a copy of another deployment than the one in HOLDFAST_STORE: name a "
                       "directory that is empty or does not exist",
                       standby->config.directory);
    if (head->header.position > now->position ||
        (head->header.position == now->position && digest_equal(&head->hash, &now->record)))
        return true;
    return err_set(err, ERR_CORRUPT,
                   "%s: the store ends before, or other than, record %" PRIu64
                   " that the copy stands at: it was set back, or holds another history. The copy stays as "
                   "it is; to follow this store, name a directory that is empty or does not exist",
                   key_log(head->header.position).text, now->position);
}

static bool begin_anew(struct standby *standby, struct err *err)
{
    struct err before = {0};

    for (int attempt = 0; attempt < READER_PLANS_MAX; attempt++) {
        struct reader_plan plan = {0};
        struct err why = {0};
        if (reader_make_plan(standby->config.store, READER_LATEST, &plan, &why) &&
            check_store(standby, &plan.head, &why) && take_plan(standby, &plan, &why)) {
            standby->begins_anew = false;
            standby->distrusts = false;
            return true;
        }
        if (why.code == ERR_NOT_FOUND)
            why.code = ERR_CORRUPT;
        /* A fault counts when a later plan meets the same one: the owner may prune meanwhile. */
        if (why.code != ERR_CORRUPT || strcmp(why.text, before.text) == 0) {
            *err = why;
            return false;
        }
        before = why;
    }
    return err_set(err, ERR_TRANSIENT, "the owner prunes faster than this can be restored");
}

/* --- looking ----------------------------------------------------------------------------------------- */

static void warn(const struct standby *standby, const char *text)
{
    if (standby->config.warn)
        standby->config.warn(standby->config.context, text);
}

static bool is_fork(struct archive *archive, const struct manifest *now, bool *ret_forked, struct err *err)
{
    struct record record;

    *ret_forked = false;
    if (archive_read(archive, now->position, &record, err)) {
        *ret_forked = !digest_equal(&record.hash, &now->record);
        return true;
    }
    if (err->code != ERR_NOT_FOUND)
        return false;
    if (archive_read(archive, now->position + 1, &record, err)) {
        *ret_forked = !digest_equal(&record.header.previous, &now->record);
        return true;
    }
    return err->code == ERR_NOT_FOUND || err->code == ERR_CORRUPT; /* damaged: a newer base may stand */
}

/* Whether the record that the copy stands at is none of the store's. Where neither it nor the next one is
 * left, nothing tells; then the records were pruned. */
static bool find_fork(const struct standby *standby, bool *ret_forked, struct err *err)
{
    struct archive archive = archive_of(standby->config.store, &standby->now.lineage);
    bool found = is_fork(&archive, &standby->now, ret_forked, err);

    archive_clear(&archive);
    return found;
}

/* The log doesn't lead on from here. */
static bool lost_the_way(struct standby *standby, const struct err *why, struct err *err)
{
    uint64_t position = standby->now.position;
    struct err text = {0};
    bool forked;

    if (!find_fork(standby, &forked, err))
        return false;
    if (forked)
        return err_set(
            err, ERR_CORRUPT,
            "%s: the store holds another history than the copy. The copy stays as it is, at record "
            "%" PRIu64 "; to follow this store, name a directory that is empty or does not exist",
            key_log(position).text, position);
    (void)err_set(&text, ERR_CORRUPT, "the log does not lead on from record %" PRIu64 " (%.600s)", position,
                  why->text);
    warn(standby, text.text);
    standby->begins_anew = true;
    return begin_anew(standby, err);
}

/* Everything up to the head, in parallel. */
static bool catch_up(struct standby *standby, struct err *err)
{
    CLEANUP(chain_freep) struct chain *chain = NULL;
    const struct manifest *now = &standby->now;
    struct chain_listing listing = {0};
    struct chain_range range = {
        .after = now->position, .lineage = now->lineage, .anchors = {{now->position, now->record}}};
    struct reader_head head;
    bool opened;

    if (!reader_find_head(standby->config.store, &head, err) || !check_store(standby, &head, err))
        return false;
    standby->listed_ms = clock_monotonic_ms();
    range.through = head.header.position;
    range.anchors[1] = (struct chain_anchor){head.header.position, head.hash};
    if (range.through == range.after)
        return true;
    opened = chain_list(standby->config.store, range.after, range.through, &listing, err) &&
             chain_open(standby->config.store, &range, &listing, &chain, err);
    chain_listing_clear(&listing);
    return opened && take_source(standby, chain, err);
}

static bool look(struct standby *standby, struct err *err)
{
    if (standby->listed_ms == 0 || clock_monotonic_ms() - standby->listed_ms >= LIST_EVERY_MS)
        return catch_up(standby, err);
    return take_source(standby, NULL, err);
}

static bool explain_full(const struct standby *standby, struct err *err)
{
    if (err->code != ERR_SYSTEM || (err->number != ENOSPC && err->number != EDQUOT))
        return false;
    return err_set(err, ERR_CONFIG,
                   "not enough disk: %.400s became full; make room there, or " READER_ROOM_REMEDY,
                   standby->name);
}

bool standby_advance(struct standby *standby, bool *ret_moved, struct err *err)
{
    uint64_t position = standby->now.position;
    struct err why = {0};
    bool taken;

    if (position == 0 || standby->begins_anew)
        taken = begin_anew(standby, err);
    else if (!(taken = look(standby, &why))) {
        if (why.code == ERR_CORRUPT || why.code == ERR_NOT_FOUND)
            taken = lost_the_way(standby, &why, err);
        else
            *err = why;
    }
    *ret_moved = standby->now.position != position;
    return taken || explain_full(standby, err);
}
