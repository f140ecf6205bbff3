/* Who may have needed a part? Its key says at which position and by which process it was made, and that is
 * enough: below our own open everybody else is fenced, so what no base record has announced by now nobody can
 * announce any more. Whose process it was says nothing about that: judged by owner id, a stalled owner would
 * sweep the base that its successor is just uploading (protocol.md, P1). So positions at or above our own
 * open are never touched here; the next owner does. */
#include "snapshot/sweep.h"

#include "snapshot/archive.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* Most of what is listed is announced, and stays. */
enum { PAGE = 500 };

void sweep_init(struct sweep *sweep, const struct removal *removal, const struct retain *retain,
                const struct record_header *head)
{
    assert(head->epoch > 0);
    *sweep =
        (struct sweep){.removal = *removal, .retain = retain, .lineage = head->lineage, .epoch = head->epoch};
}

void sweep_clear(struct sweep *sweep)
{
    blob_sweep_clear(&sweep->blobs);
    record_refs_clear(&sweep->asked);
}

void sweep_again(struct sweep *sweep)
{
    if (sweep->stage == SWEEP_DONE)
        sweep->stage = SWEEP_BLOBS;
    else
        sweep->again = true;
}

/* Where the stage begins: positions are inverted in keys, so behind the bare number of the position below our
 * open lies everything older. */
static struct key begin_of(const struct sweep *sweep, const char *prefix)
{
    struct key key;

    (void)snprintf(key.text, sizeof(key.text), "%s%016" PRIx64, prefix, UINT64_MAX - (sweep->epoch - 1));
    return key;
}

/* A record above 8 MiB has its bulk in parts too. What can't be read may be such a one. */
static bool ask_record(struct sweep *sweep, uint64_t position, struct err *err)
{
    CLEANUP(archive_clear) struct archive archive = archive_of(sweep->removal.store, &sweep->lineage);
    struct record record;
    struct err why = {0};

    record_refs_clear(&sweep->asked);
    sweep->asked_position = 0;
    sweep->asked_keeps_all =
        !archive_read(&archive, position, &record, &why) || !record_refs_read(&record, &sweep->asked, &why);
    if (sweep->asked_keeps_all && why.code != ERR_NOT_FOUND && why.code != ERR_CORRUPT) {
        *err = why;
        return false;
    }
    sweep->asked_position = position;
    sweep->asked_owner = sweep->asked_keeps_all ? (struct id){{0}} : record.header.owner;
    return true;
}

/* Whether record `position` has, or may have, its bulk in this part. */
static bool is_bulk(struct sweep *sweep, uint64_t position, const struct id *owner, uint64_t n,
                    bool *ret_bulk, struct err *err)
{
    if (sweep->asked_position != position && !ask_record(sweep, position, err))
        return false;
    *ret_bulk = sweep->asked_keeps_all ||
                (id_equal(&sweep->asked_owner, owner) && record_refs_has_part(&sweep->asked, n));
    return true;
}

static bool judge_part(struct sweep *sweep, const char *key, bool *ret_garbage, struct err *err)
{
    uint64_t position = 0, n = 0;
    struct id owner;
    bool bulk = false;

    *ret_garbage = false;
    if (!key_parse_part(key, &position, &owner, &n) || position >= sweep->epoch ||
        retain_announces(sweep->retain, position, &owner, NULL))
        return true;
    if (!is_bulk(sweep, position, &owner, n, &bulk, err))
        return false;
    *ret_garbage = !bulk;
    return true;
}

static bool judge_manifest(struct sweep *sweep, const char *key, bool *ret_garbage, struct err *err)
{
    uint64_t position = 0, n = 0;
    struct id owner;

    (void)err;
    *ret_garbage = key_parse_base(key, &position, &owner, &n) && position < sweep->epoch &&
                   !retain_announces(sweep->retain, position, &owner, &n);
    return true;
}

static bool sweep_page(struct sweep *sweep, const char *prefix,
                       bool (*judge)(struct sweep *sweep, const char *key, bool *ret_garbage,
                                     struct err *err),
                       struct err *err)
{
    CLEANUP(key_list_clear) struct key_list page = {0}, garbage = {0};
    struct key after = sweep->resume.text[0] ? sweep->resume : begin_of(sweep, prefix);

    size_t at = 0;

    if (!store_list(sweep->removal.store, prefix, after.text, PAGE, key_list_collect, &page, err))
        return false;
    for (; at < page.count && garbage.count < REMOVAL_PAGE; at++) {
        bool is_garbage = false;
        if (!judge(sweep, page.keys[at].text, &is_garbage, err))
            return false;
        if (is_garbage)
            key_list_add(&garbage, page.keys[at].text);
    }
    if (!removal_run(&sweep->removal, &garbage, err))
        return false;
    sweep->resume.text[0] = '\0';
    if (page.count == PAGE || at < page.count)
        sweep->resume = page.keys[at - 1];
    else
        sweep->stage++;
    return true;
}

/* At the takeover: from the base record before the newest one on, since a predecessor sweeps after each base,
 * and up to our open. Later our own: from there up to what is settled. */
static bool sweep_blobs(struct sweep *sweep, const struct sweep_view *view, struct err *err)
{
    struct blob_sweep_log log = {&sweep->removal, sweep->lineage, view->tree, view->newest};
    bool done = false;

    if (!sweep->blobs.begun)
        blob_sweep_begin(&sweep->blobs, sweep->swept > 0 ? sweep->swept : retain_last_but_one(sweep->retain),
                         view->settled > sweep->epoch ? view->settled : sweep->epoch);
    sweep->sweeping = sweep->blobs.high;
    if (!blob_sweep_step(&sweep->blobs, &log, &done, err))
        return false;
    if (!done)
        return true;
    sweep->swept = sweep->sweeping;
    sweep->stage = sweep->again ? SWEEP_BLOBS : SWEEP_DONE;
    sweep->again = false;
    return true;
}

static bool step(struct sweep *sweep, const struct sweep_view *view, struct err *err)
{
    switch (sweep->stage) {
    case SWEEP_MANIFESTS:
        return sweep_page(sweep, "base/", judge_manifest, err);
    case SWEEP_PARTS:
        return sweep_page(sweep, "part/", judge_part, err);
    case SWEEP_BLOBS:
        return sweep_blobs(sweep, view, err);
    case SWEEP_DONE:
        return true;
    }
    return true;
}

bool sweep_step(struct sweep *sweep, const struct sweep_view *view, bool *ret_done, struct err *err)
{
    if (!step(sweep, view, err))
        return err_wrap(err, "sweep");
    *ret_done = sweep->stage == SWEEP_DONE;
    return true;
}
