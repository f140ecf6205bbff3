#include "snapshot/retain.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { LEARN_RECORDS = 32, PRUNE_RECORDS = 1000 };

void retain_init(struct retain *retain, const struct record_header *head)
{
    *retain = (struct retain){.before = head->base.announced, .horizon = head->horizon};
}

static void base_clear(struct retain_base *base)
{
    free(base->dropped);
}

void retain_clear(struct retain *retain)
{
    for (size_t at = 0; at < retain->count; at++)
        base_clear(&retain->bases[at]);
    free(retain->bases);
    *retain = (struct retain){0};
}

static void insert(struct retain *retain, size_t at, const struct retain_base *base)
{
    retain->bases = xrealloc(retain->bases, (retain->count + 1) * sizeof(retain->bases[0]));
    memmove(&retain->bases[at + 1], &retain->bases[at], (retain->count - at) * sizeof(retain->bases[0]));
    retain->bases[at] = *base;
    retain->count++;
}

static bool learn_one(struct retain *retain, struct store *store, const struct id *lineage, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;
    struct base_body body;
    struct retain_base base;

    if (!log_read(store, lineage, retain->before, &bytes, &record, err))
        return false;
    if (record.header.kind != RECORD_BASE)
        return err_set(err, ERR_CORRUPT, "record %llu is named as a base and is none",
                       (unsigned long long)retain->before);
    if (!base_body_decode(record.body, record.body_size, &body, err))
        return false;
    base = (struct retain_base){
        .record = retain->before,
        .lowest_position = body.lowest_position,
        .position = body.position,
        .time_ns = record.header.time_ns,
        .manifest = body.key,
        .dropped = MOVE(body.dropped),
        .dropped_count = body.dropped_count,
    };
    body.dropped_count = 0;
    retain->before = base.record > retain->horizon ? body.previous_base : 0;
    insert(retain, 0, &base);
    base_body_clear(&body);
    return true;
}

bool retain_learn(struct retain *retain, struct store *store, const struct id *lineage, struct err *err)
{
    for (int read = 0; retain->before != 0 && read < LEARN_RECORDS; read++)
        if (!learn_one(retain, store, lineage, err))
            return err_wrap(err, "walk the bases back");
    return true;
}

uint64_t retain_horizon(const struct retain *retain, uint64_t position, uint64_t now_ns,
                        uint64_t retention_ms)
{
    uint64_t span_ns = retention_ms * NS_PER_MS;
    uint64_t limit_ns = now_ns > span_ns ? now_ns - span_ns : 0;
    uint64_t horizon = retain->horizon;

    if (retain->before != 0)
        return horizon; /* the older ones aren't known yet: it waits */
    if (horizon == 0)
        horizon = retain->count > 0 ? retain->bases[0].record : position;
    for (size_t at = 0; at < retain->count; at++)
        if (retain->bases[at].time_ns <= limit_ns && retain->bases[at].record > horizon)
            horizon = retain->bases[at].record;
    /* The new base is as old as now: with a retention of nothing it covers all before it. */
    if (retention_ms == 0)
        horizon = position;
    assert(horizon >= retain->horizon && horizon <= position);
    return horizon;
}

void retain_add(struct retain *retain, const struct retain_base *base, uint64_t horizon)
{
    assert(retain->count == 0 || retain->bases[retain->count - 1].record < base->record);
    insert(retain, retain->count, base);
    retain->horizon = horizon;
}

struct key_list {
    struct key *keys;
    size_t count;
};

static bool collect_key(void *context, const struct store_entry *entry, struct err *err)
{
    struct key_list *list = context;

    (void)err;
    list->keys = xrealloc(list->keys, (list->count + 1) * sizeof(list->keys[0]));
    (void)snprintf(list->keys[list->count++].text, KEY_SIZE, "%s", entry->key);
    return true;
}

/* The parts of a base share the position and the owner of its manifest: part/<inverted P>-<owner>-…  */
static bool delete_parts(struct store *store, const struct retain_base *base, struct err *err)
{
    struct key_list list = {0};
    struct key prefix = base->manifest;
    char *last = strrchr(prefix.text, '-');
    bool deleted;

    assert(last && strncmp(prefix.text, "base/", 5) == 0);
    last[1] = '\0';
    memcpy(prefix.text, "part/", 5);
    deleted = store_list(store, prefix.text, NULL, 0, collect_key, &list, err);
    for (size_t at = 0; deleted && at < list.count; at++)
        deleted = store_delete(store, list.keys[at].text, err);
    free(list.keys);
    return deleted;
}

static bool delete_dropped(struct store *store, const struct retain_base *base, struct err *err)
{
    for (size_t at = 0; at < base->dropped_count; at++) {
        struct key key = key_blob(base->dropped[at].tag, &base->dropped[at].content);
        if (!store_delete(store, key.text, err))
            return false;
    }
    return true;
}

/* Opens stay for ever: a stale owner's next append has to meet one (protocol.md, H1). */
static bool delete_unless_open(struct store *store, const struct id *lineage, uint64_t position,
                               struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct key key = key_log(position);
    struct record record;

    if (!log_read(store, lineage, position, &bytes, &record, err))
        return err->code == ERR_NOT_FOUND;
    return record.header.kind == RECORD_OPEN || store_delete(store, key.text, err);
}

static bool prune_log(struct retain *retain, struct store *store, const struct id *lineage, uint64_t lowest,
                      uint64_t head, struct err *err)
{
    struct key_list list = {0};
    struct key after = key_log(lowest + 1);
    bool pruned = store_list(store, "log/", after.text, PRUNE_RECORDS, collect_key, &list, err);

    for (size_t at = 0; pruned && at < list.count; at++) {
        uint64_t position = 0;
        if (!key_parse_log(list.keys[at].text, &position) || position <= retain->pruned)
            break;
        if (position != head)
            pruned = delete_unless_open(store, lineage, position, err);
    }
    free(list.keys);
    if (pruned)
        retain->pruned = lowest;
    return pruned;
}

static size_t below_horizon(const struct retain *retain)
{
    size_t count = 0;

    while (count < retain->count && retain->bases[count].record < retain->horizon)
        count++;
    return count;
}

bool retain_prune(struct retain *retain, struct store *store, const struct id *lineage, uint64_t head,
                  struct err *err)
{
    size_t below = below_horizon(retain);
    uint64_t lowest;

    /* Until the walk back has reached the horizon, the oldest base that is known is not the oldest that
     * counts. */
    if (below == retain->count || retain->bases[below].record != retain->horizon)
        return true;
    lowest = retain->bases[below].lowest_position;
    /* Records that say what was dropped go last: until then a crash loses nothing that a later prune needs.
     */
    if (!delete_dropped(store, &retain->bases[below], err))
        return err_wrap(err, "prune");
    for (; below > 0; below--) {
        struct retain_base *base = &retain->bases[0];
        if (!delete_dropped(store, base, err) || !delete_parts(store, base, err) ||
            !store_delete(store, base->manifest.text, err))
            return err_wrap(err, "prune");
        base_clear(base);
        retain->count--;
        memmove(base, base + 1, retain->count * sizeof(*base));
    }
    if (lowest > retain->pruned && !prune_log(retain, store, lineage, lowest, head, err))
        return err_wrap(err, "prune");
    return true;
}
