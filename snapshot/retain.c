/* Pruning goes on beside an application that is served, so it is done in small steps between two snapshots
 * and can be left at any of them.
 *
 * Bases go before the records that say what they consist of, and older ones first: as long as something of a
 * base is left, the walk from the newest base record back still comes to its record. Only when all of them
 * are gone, records are deleted. So whatever an owner leaves undone, the next one finds. */
#include "snapshot/retain.h"

#include "base/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LEARN_RECORDS = 32, PRUNE_BASES = 8, PRUNE_RECORDS = 64, REMOVALS_PENDING = 8 };

void retain_init(struct retain *retain, struct store *store, struct pool *pool, const atomic_bool *canceled,
                 const struct record_header *head)
{
    *retain = (struct retain){.store = store,
                              .pool = pool,
                              .canceled = canceled,
                              .lineage = head->lineage,
                              .epoch = head->epoch,
                              .before = head->base.announced,
                              .horizon = head->horizon};
}

void retain_clear(struct retain *retain)
{
    free(retain->bases);
    *retain = (struct retain){0};
}

static struct retain_base *base_at(const struct retain *retain, size_t index)
{
    assert(index < retain->count);
    return &retain->bases[retain->first + index];
}

/* Room at both ends: older ones are learned backwards. */
static void make_room(struct retain *retain)
{
    size_t capacity = retain->count * 3 + 24, first = retain->count + 8;
    struct retain_base *bases;

    if (retain->first > 0 && retain->first + retain->count < retain->capacity)
        return;
    bases = xmalloc(capacity * sizeof(bases[0]));
    if (retain->count > 0)
        memcpy(bases + first, retain->bases + retain->first, retain->count * sizeof(bases[0]));
    free(retain->bases);
    retain->bases = bases;
    retain->first = first;
    retain->capacity = capacity;
}

/* What a base record says, and its time. ERR_NOT_FOUND: pruned. */
static bool read_base(const struct retain *retain, uint64_t position, struct base_body *ret_body,
                      uint64_t *ret_time_ns, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;

    if (!log_read(retain->store, &retain->lineage, position, &bytes, &record, err))
        return false;
    if (record.header.kind != RECORD_BASE)
        return err_set(err, ERR_CORRUPT, "record %" PRIu64 " is named as a base and is none", position);
    *ret_time_ns = record.header.time_ns;
    return record_base_body(&record, ret_body, err);
}

static bool learn_one(struct retain *retain, struct err *err)
{
    struct retain_base base = {.record = retain->before};
    struct base_body body;
    struct err why = {0};

    if (!read_base(retain, base.record, &body, &base.time_ns, &why)) {
        if (why.code == ERR_NOT_FOUND && base.record < retain->horizon) {
            retain->before = 0; /* it went, and all before it */
            return true;
        }
        *err = why;
        if (why.code == ERR_NOT_FOUND)
            err->code = ERR_CORRUPT;
        return false;
    }
    make_room(retain);
    retain->bases[--retain->first] = base;
    retain->count++;
    retain->before = body.previous_base;
    base_body_clear(&body);
    return true;
}

bool retain_learn(struct retain *retain, struct err *err)
{
    for (int read = 0; retain->before != 0 && read < LEARN_RECORDS; read++)
        if (!learn_one(retain, err))
            return err_wrap(err, "walk the bases back");
    return true;
}

uint64_t retain_horizon(const struct retain *retain, uint64_t position, uint64_t now_ns,
                        uint64_t retention_ms)
{
    uint64_t span_ns = retention_ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : retention_ms * NS_PER_MS;
    uint64_t limit_ns = now_ns > span_ns ? now_ns - span_ns : 0;
    uint64_t horizon = retain->horizon;

    if (retain->before != 0)
        return horizon; /* the older ones aren't known yet: it waits */
    if (horizon == 0)
        horizon = retain->count > 0 ? base_at(retain, 0)->record : position;
    for (size_t at = retain->count; at > 0 && base_at(retain, at - 1)->record > horizon; at--)
        if (base_at(retain, at - 1)->time_ns <= limit_ns)
            horizon = base_at(retain, at - 1)->record;
    /* The new base is as old as now: with a retention of nothing it covers all before it. */
    if (retention_ms == 0)
        horizon = position;
    assert(horizon >= retain->horizon && horizon <= position);
    return horizon;
}

void retain_add(struct retain *retain, const struct retain_base *base, uint64_t horizon)
{
    assert(retain->count == 0 || base_at(retain, retain->count - 1)->record < base->record);
    assert(horizon >= retain->horizon);
    make_room(retain);
    retain->bases[retain->first + retain->count++] = *base;
    if (horizon != retain->horizon)
        retain->resume.text[0] = '\0';
    retain->horizon = horizon;
}

struct key_list {
    struct key *keys;
    size_t count;
};

static void key_list_clearp(struct key_list *list)
{
    free(list->keys);
}

static void add_key(struct key_list *list, const char *key)
{
    list->keys = xrealloc(list->keys, (list->count + 1) * sizeof(list->keys[0]));
    (void)snprintf(list->keys[list->count++].text, KEY_SIZE, "%s", key);
}

static bool collect_key(void *context, const struct store_entry *entry, struct err *err)
{
    (void)err;
    add_key(context, entry->key);
    return true;
}

/* One object of a list that is gone through in parallel. */
struct removal {
    const struct retain *retain;
    const char *key;
    uint64_t head; /* of records: this one stays */
};

static bool remove_all(const struct retain *retain, const struct key_list *list, uint64_t head,
                       bool (*run)(void *context, struct err *err), struct err *err)
{
    struct task_group group;

    group_init(&group, retain->pool, REMOVALS_PENDING);
    for (size_t at = 0; at < list->count && !group_failed(&group); at++) {
        struct removal *removal = xmalloc(sizeof(*removal));
        *removal = (struct removal){retain, list->keys[at].text, head};
        group_submit(&group, run, removal);
    }
    return group_wait(&group, err);
}

static bool remove_object(void *context, struct err *err)
{
    CLEANUP(freep) struct removal *removal = context;
    const struct retain *retain = removal->retain;

    if (retain->canceled && atomic_load(retain->canceled))
        return err_set(err, ERR_CANCELED, "pruning was stopped");
    return store_delete(retain->store, removal->key, err);
}

/* Opens stay for ever: a stale owner's next append has to meet one (protocol.md, H1). What can't be read may
 * be one. */
static bool remove_record(void *context, struct err *err)
{
    CLEANUP(freep) struct removal *removal = context;
    const struct retain *retain = removal->retain;
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    uint64_t position = 0;
    struct record record;

    if (retain->canceled && atomic_load(retain->canceled))
        return err_set(err, ERR_CANCELED, "pruning was stopped");
    if (!key_parse_log(removal->key, &position) || position == removal->head)
        return true;
    if (position <= retain->epoch) {
        if (!log_read(retain->store, &retain->lineage, position, &bytes, &record, err))
            return err->code == ERR_NOT_FOUND || err->code == ERR_CORRUPT;
        if (record.header.kind == RECORD_OPEN)
            return true;
    }
    return store_delete(retain->store, removal->key, err);
}

static bool delete_dropped(const struct retain *retain, const struct base_body *body, struct err *err)
{
    CLEANUP(key_list_clearp) struct key_list list = {0};

    for (size_t at = 0; at < body->dropped_count; at++)
        add_key(&list, key_blob(body->dropped[at].tag, &body->dropped[at].content).text);
    return remove_all(retain, &list, 0, remove_object, err);
}

/* The parts of a base share the position and the owner of its manifest: part/<inverted P>-<owner>-…  Parts of
 * earlier attempts that came to nothing lie there too. */
static bool delete_content(const struct retain *retain, const struct base_body *body, struct err *err)
{
    CLEANUP(key_list_clearp) struct key_list list = {0};
    struct key prefix = body->key;
    char *last = strrchr(prefix.text, '-');

    assert(last && strncmp(prefix.text, "base/", 5) == 0);
    last[1] = '\0';
    memcpy(prefix.text, "part/", 5);
    return store_list(retain->store, prefix.text, NULL, 0, collect_key, &list, err) &&
           remove_all(retain, &list, 0, remove_object, err) &&
           store_delete(retain->store, body->key.text, err);
}

static bool prune_base(const struct retain *retain, uint64_t record, struct err *err)
{
    struct base_body body;
    uint64_t time_ns = 0;
    bool pruned;

    if (!read_base(retain, record, &body, &time_ns, err))
        return err->code == ERR_NOT_FOUND; /* somebody was here before */
    pruned = delete_dropped(retain, &body, err) && delete_content(retain, &body, err);
    base_body_clear(&body);
    return pruned;
}

/* What lies further down was gone through for an earlier horizon. */
static bool reaches_pruned(const struct retain *retain, const struct key *key)
{
    uint64_t position = 0;

    return key_parse_log(key->text, &position) && position <= retain->pruned;
}

/* One page of the loose records at or below `lowest`. */
static bool prune_log(struct retain *retain, uint64_t lowest, uint64_t head, struct err *err)
{
    CLEANUP(key_list_clearp) struct key_list list = {0};
    struct key after = retain->resume.text[0] ? retain->resume : key_log(lowest + 1);

    if (!store_list(retain->store, "log/", after.text, PRUNE_RECORDS, collect_key, &list, err) ||
        !remove_all(retain, &list, head, remove_record, err))
        return false;
    if (list.count == PRUNE_RECORDS && !reaches_pruned(retain, &list.keys[list.count - 1])) {
        retain->resume = list.keys[list.count - 1];
        return true;
    }
    retain->resume.text[0] = '\0';
    retain->pruned = lowest;
    return true;
}

static bool prune_bases(struct retain *retain, struct err *err)
{
    for (int bases = 0; bases < PRUNE_BASES && base_at(retain, 0)->record < retain->horizon; bases++) {
        if (!prune_base(retain, base_at(retain, 0)->record, err))
            return false;
        retain->first++;
        retain->count--;
        assert(retain->count > 0); /* the horizon is a base itself */
    }
    return true;
}

/* What the base at the horizon leaves behind it: blobs that its record dropped, and the records below. */
static bool prune_below(struct retain *retain, uint64_t head, struct err *err)
{
    struct base_body body;
    uint64_t time_ns = 0;
    bool pruned;

    if (!read_base(retain, retain->horizon, &body, &time_ns, err))
        return false;
    pruned = delete_dropped(retain, &body, err) && prune_log(retain, body.lowest_position, head, err);
    base_body_clear(&body);
    return pruned;
}

bool retain_prune(struct retain *retain, uint64_t head, bool *ret_done, struct err *err)
{
    /* Before the walk back has ended nobody knows what lies below. */
    *ret_done = retain->before == 0 && retain->count == 0;
    if (retain->before != 0 || retain->count == 0)
        return true;
    if (!prune_bases(retain, err))
        return err_wrap(err, "prune");
    if (base_at(retain, 0)->record < retain->horizon)
        return true;
    if (base_at(retain, 0)->record != retain->horizon)
        return err_set(err, ERR_CORRUPT, "record %" PRIu64 " is named as the horizon and is no base",
                       retain->horizon);
    if (retain->finished != retain->horizon && !prune_below(retain, head, err))
        return err_wrap(err, "prune");
    if (!retain->resume.text[0])
        retain->finished = retain->horizon;
    *ret_done = retain->finished == retain->horizon;
    return true;
}
