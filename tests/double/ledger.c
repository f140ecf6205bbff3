#include "tests/double/ledger.h"

#include "snapshot/data_body.h"
#include "tests/tap.h"

void ledger_set_up(struct ledger *ledger)
{
    struct id lineage = id_random();
    struct err err = {0};

    *ledger = (struct ledger){.mem = store_mem_new(), .next_n = 1};
    ledger->now_ns = store_unix_ns(ledger->mem);
    ledger->faulty = store_fault_new(ledger->mem);
    if (!pool_open(4, "test", &ledger->pool, &err))
        abort();
    log_init(&ledger->log, ledger->faulty, ledger->faulty, &lineage);
    ledger_open(ledger);
}

void ledger_tear_down(struct ledger *ledger)
{
    log_clear(&ledger->log);
    pool_free(ledger->pool);
    store_free(ledger->faulty);
    store_free(ledger->mem);
}

uint64_t ledger_append(struct ledger *ledger, const struct log_change *change)
{
    struct err err = {0};

    log_freeze(&ledger->log, &ledger->owner, change);
    EXPECT_OK(log_send(&ledger->log, &err), &err);
    return ledger->log.newest.position;
}

static void add_put(struct buf *body, const struct blob_name *name)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    struct tree_entry *entry = tree_add(tree, "big", 3, NULL, 0);
    struct tree_piece piece = {.tag = name->tag, .raw_bytes = TREE_INLINE_MAX + 1, .content = name->content};

    entry->kind = ENTRY_FILE;
    entry->size = piece.raw_bytes;
    tree_set_pieces(tree, entry, &piece, 1);
    data_add_put(body, tree, entry, NULL, 0);
}

uint64_t ledger_append_data(struct ledger *ledger, const struct ledger_data *data)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(65536);
    struct digest hash = {{9}};
    struct log_change change = {.kind = RECORD_DATA, .changes_data = true};

    if (data->part > 0)
        data_add_bulk(&body, data->part, 1000, &hash);
    if (data->named)
        add_put(&body, data->named);
    if (data->dropped)
        data_add_dropped(&body, data->dropped, 1);
    change.body = body.bytes;
    change.body_size = body.size;
    return ledger_append(ledger, &change);
}

void ledger_open(struct ledger *ledger)
{
    ledger->owner = id_random();
    (void)ledger_append(ledger, &(struct log_change){.kind = RECORD_OPEN});
}

void ledger_put(struct ledger *ledger, const char *key)
{
    struct err err = {0};

    EXPECT_OK(store_put(ledger->mem, key, key, strlen(key), &err), &err);
}

bool ledger_has(struct ledger *ledger, const char *key)
{
    return store_mem_count(ledger->mem, key) > 0;
}

uint64_t ledger_announce(struct ledger *ledger, uint64_t horizon, const struct blob_name *dropped)
{
    const struct record_header *newest = &ledger->log.newest;
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(65536);
    struct base_reference reference = {.position = newest->position,
                                       .manifest = {{1}},
                                       .key = key_base(newest->position, &ledger->owner, ledger->next_n + 2)};
    struct blob_name dropped_copy = dropped ? *dropped : (struct blob_name){0};
    struct base_body fields = {.lowest_position = newest->position,
                               .position = newest->position,
                               .manifest = reference.manifest,
                               .key = reference.key,
                               .previous_base = newest->base.announced,
                               .horizon = horizon,
                               .dropped = &dropped_copy,
                               .dropped_count = dropped != NULL};
    struct log_change change = {.kind = RECORD_BASE, .base = &reference, .horizon = horizon};

    ledger_put(ledger, key_part(newest->position, &ledger->owner, ledger->next_n++).text);
    ledger_put(ledger, key_part(newest->position, &ledger->owner, ledger->next_n++).text);
    ledger_put(ledger, reference.key.text);
    ledger->next_n++;
    base_body_encode(&fields, &body);
    change.body = body.bytes;
    change.body_size = body.size;
    ledger->now_ns += HOUR_NS;
    return ledger_append(ledger, &change);
}
