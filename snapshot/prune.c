/* What may go is found by listing, not by following records: positions are in the keys, and whatever lies
 * below S nobody needs, announced or not. So nothing has to be remembered, and what one pruner leaves undone
 * the next one meets again.
 *
 * The one thing that only records know is which blobs they dropped, so those go before the record does. */
#include "snapshot/prune.h"

#include "snapshot/archive.h"
#include "snapshot/log.h"
#include "snapshot/record_refs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static const char *const prefixes[PRUNE_DONE] = {
    [PRUNE_MANIFESTS] = "base/", [PRUNE_PARTS] = "part/", [PRUNE_RECORDS] = "log/", [PRUNE_PACKS] = "pack/"};

void prune_init(struct prune *prune, const struct removal *removal, const struct id *lineage)
{
    *prune = (struct prune){.removal = *removal, .lineage = *lineage, .stage = PRUNE_DONE};
}

/* By the worker that has the record, while others go on beside it. */
static bool drop_blobs(const struct prune *prune, const struct record_refs *refs, struct err *err)
{
    const struct blob_names *dropped = &refs->dropped;

    for (size_t at = 0; at < dropped->count; at++)
        if (!removal_delete(&prune->removal, key_blob(dropped->list[at].tag, &dropped->list[at].content).text,
                            err))
            return false;
    return true;
}

/* Opens stay for ever: a stale owner's next append has to meet one (protocol.md, H1). What pins mean is a
 * later release's. */
static bool stays(const struct record *record)
{
    return record->header.kind == RECORD_OPEN || record->header.kind == RECORD_PIN;
}

/* What can't be read may be an open, so it stays. */
static bool remove_record(void *context, const char *key, struct err *err)
{
    const struct prune *prune = context;
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;
    struct record_refs refs = {0};
    struct err why = {0};
    uint64_t position = 0;
    bool removed;

    if (!key_parse_log(key, &position) || position > prune->lowest)
        return true;
    if (!log_read(prune->removal.store, &prune->lineage, position, &bytes, &record, &why) ||
        !record_refs_read(&record, &refs, &why)) {
        if (why.code == ERR_NOT_FOUND || why.code == ERR_CORRUPT)
            return true;
        *err = why;
        return false;
    }
    removed = stays(&record) || (drop_blobs(prune, &refs, err) && removal_delete(&prune->removal, key, err));
    record_refs_clear(&refs);
    return removed;
}

/* A copy of an open may go with its pack: the open itself stays in log/. */
static bool drop_packed(const struct prune *prune, const struct pack *pack, bool *ret_stays, struct err *err)
{
    for (uint64_t position = pack->first; position <= pack->last && !*ret_stays; position++) {
        struct record_refs refs = {0};
        struct record record;
        struct err unreadable;
        size_t size = 0;
        const uint8_t *bytes = pack_find(pack, position, &size);
        bool dropped;
        *ret_stays = !log_parse(&prune->lineage, position, bytes, size, &record, &unreadable) ||
                     record.header.kind == RECORD_PIN || !record_refs_read(&record, &refs, &unreadable);
        if (*ret_stays)
            return true;
        dropped = drop_blobs(prune, &refs, err);
        record_refs_clear(&refs);
        if (!dropped)
            return false;
    }
    return true;
}

static bool remove_pack(void *context, const char *key, struct err *err)
{
    const struct prune *prune = context;
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(PACK_SIZE_MAX);
    struct pack pack;
    struct err why = {0};
    uint64_t first = 0, last = 0;
    bool stays = false;

    if (!key_parse_pack(key, &first, &last) || last > prune->lowest)
        return true;
    if (!pack_fetch(prune->removal.store, first, last, &bytes, &pack, &why)) {
        if (why.code == ERR_NOT_FOUND || why.code == ERR_CORRUPT)
            return true;
        *err = why;
        return false;
    }
    return drop_packed(prune, &pack, &stays, err) && (stays || removal_delete(&prune->removal, key, err));
}

/* Where the stage begins: what sorts behind is what lies below S, and for records and packs what lies at it.
 * A key with more behind the number sorts behind the bare number. */
static struct key begin_of(const struct prune *prune)
{
    uint64_t newest = prune->stage == PRUNE_PACKS ? prune->lowest : prune->lowest - 1;
    struct key key;

    if (prune->stage == PRUNE_RECORDS)
        return key_log(prune->lowest + 1);
    (void)snprintf(key.text, sizeof(key.text), "%s%016" PRIx64, prefixes[prune->stage], UINT64_MAX - newest);
    return key;
}

/* Only what is a key of ours, to the letter, may go. */
static void pick(const struct prune *prune, const struct key_list *page, struct key_list *ret_list)
{
    for (size_t at = 0; at < page->count; at++) {
        const char *key = page->keys[at].text;
        uint64_t position = 0, n = 0;
        struct id owner;
        bool ours = prune->stage == PRUNE_MANIFESTS ? key_parse_base(key, &position, &owner, &n)
                                                    : key_parse_part(key, &position, &owner, &n);
        if (ours && position < prune->lowest)
            key_list_add(ret_list, key);
    }
}

/* What lies further down was gone through for an earlier horizon: only opens are there. */
static bool reaches_old(const struct prune *prune, const struct key *key)
{
    uint64_t position = 0;

    return prune->stage == PRUNE_RECORDS && key_parse_log(key->text, &position) && position <= prune->reached;
}

static bool remove_page(struct prune *prune, const struct key_list *page, struct err *err)
{
    CLEANUP(key_list_clear) struct key_list list = {0};

    if (prune->stage == PRUNE_RECORDS)
        return removal_each(&prune->removal, page, remove_record, prune, err);
    if (prune->stage == PRUNE_PACKS)
        return removal_each(&prune->removal, page, remove_pack, prune, err);
    pick(prune, page, &list);
    return removal_run(&prune->removal, &list, err);
}

static bool prune_page(struct prune *prune, struct err *err)
{
    CLEANUP(key_list_clear) struct key_list page = {0};
    struct key after = prune->resume.text[0] ? prune->resume : begin_of(prune);

    if (!store_list(prune->removal.store, prefixes[prune->stage], after.text, REMOVAL_PAGE, key_list_collect,
                    &page, err) ||
        !remove_page(prune, &page, err))
        return false;
    if (page.count == REMOVAL_PAGE && !reaches_old(prune, &page.keys[page.count - 1])) {
        prune->resume = page.keys[page.count - 1];
        return true;
    }
    prune->resume.text[0] = '\0';
    if (prune->stage == PRUNE_RECORDS)
        prune->reached = prune->lowest;
    prune->stage++;
    return true;
}

/* What may go is said by that very record and by nothing else that could be trusted with it. */
static bool refuse(uint64_t horizon, const struct err *why, struct err *err)
{
    bool is_missing = why->code == ERR_NOT_FOUND;

    if (is_missing || why->code == ERR_CORRUPT)
        return err_set(
            err, why->code,
            "%s%s; this base record says what may be deleted, so nothing is until a newer base is the "
            "oldest that HOLDFAST_RETENTION keeps",
            is_missing ? key_log(horizon).text : why->text, is_missing ? ": it is missing" : "");
    *err = *why;
    return err_wrap(err, "the horizon");
}

/* The horizon has moved: the base there says what is below it. */
static bool begin(struct prune *prune, uint64_t horizon, struct err *err)
{
    CLEANUP(archive_clear) struct archive archive = archive_of(prune->removal.store, &prune->lineage);
    CLEANUP(key_list_clear) struct key_list dropped = {0};
    struct record record;
    struct base_body body;
    struct err why = {0};
    uint64_t lowest;

    if (!archive_read_base(&archive, horizon, &record, &body, &why))
        return refuse(horizon, &why, err);
    for (size_t at = 0; at < body.dropped_count; at++)
        key_list_add(&dropped, key_blob(body.dropped[at].tag, &body.dropped[at].content).text);
    lowest = body.lowest_position;
    base_body_clear(&body);
    if (!removal_run(&prune->removal, &dropped, err))
        return false;
    prune->horizon = horizon;
    prune->lowest = lowest;
    prune->stage = PRUNE_MANIFESTS;
    prune->resume.text[0] = '\0';
    return true;
}

bool prune_step(struct prune *prune, uint64_t horizon, bool *ret_done, struct err *err)
{
    assert(horizon >= prune->horizon);
    if (horizon != prune->horizon && !begin(prune, horizon, err))
        return err_wrap(err, "prune");
    if (prune->stage != PRUNE_DONE && !prune_page(prune, err))
        return err_wrap(err, "prune");
    *ret_done = prune->stage == PRUNE_DONE;
    return true;
}
