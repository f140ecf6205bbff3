#include "tests/double/history.h"

#include "snapshot/data_body.h"
#include "snapshot/identity.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool held, const struct err *err)
{
    if (held)
        return;
    printf("# history: %s\n", err->text);
    (void)fflush(stdout);
    abort();
}

void history_begin(struct history *history)
{
    CLEANUP(buf_clearp) struct buf json = BUF_INIT(IDENTITY_SIZE_MAX);
    struct err err = {0};

    *history = (struct history){.mem = store_mem_new(), .lineage = id_random(), .owner = id_random()};
    identity_write(&history->lineage, 1, &json);
    must(store_create(history->mem, IDENTITY_KEY, json.bytes, json.size, &err), &err);
    log_init(&history->log, history->mem, history->mem, &history->lineage);
    history_fill(history, 1, 8);
}

void history_end(struct history *history)
{
    log_clear(&history->log);
    store_free(history->mem);
}

uint64_t history_append(struct history *history, const struct log_change *change)
{
    struct err err = {0};

    assert(history_head(history) < HISTORY_MAX);
    log_freeze(&history->log, &history->owner, change);
    must(log_send(&history->log, &err), &err);
    history->hashes[history_head(history)] = history->log.newest_hash;
    return history_head(history);
}

void history_fill(struct history *history, size_t count, size_t body_size)
{
    CLEANUP(freep) uint8_t *body = xcalloc(1, body_size);
    struct log_change change = {.kind = RECORD_OPEN, .body = body, .body_size = body_size};

    for (size_t at = 0; at < count; at++)
        (void)history_append(history, &change);
}

void history_work(struct history *history, size_t count, size_t body_size)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(1 << 16);
    CLEANUP(freep) char *path = xcalloc(1, body_size + 1);
    struct log_change change = {.kind = RECORD_DATA, .changes_data = true};

    assert(body_size <= 4000);
    memset(path, 'p', body_size);
    data_add_gone(&body, path);
    change.body = body.bytes;
    change.body_size = body.size;
    for (size_t at = 0; at < count; at++)
        (void)history_append(history, &change);
}

uint64_t history_head(const struct history *history)
{
    return history->log.newest.position;
}

struct chain_range history_range(const struct history *history, uint64_t after, uint64_t through)
{
    struct chain_range range = {.after = after, .through = through, .lineage = history->lineage};

    range.anchors[0] = (struct chain_anchor){after, history->hashes[after]};
    range.anchors[1] = (struct chain_anchor){through, history->hashes[through]};
    return range;
}

void history_replace(struct history *history, uint64_t position, const struct buf *bytes)
{
    struct key key = key_log(position);
    struct err err = {0};

    must(store_put(history->mem, key.text, bytes->bytes, bytes->size, &err), &err);
}

void history_read(struct history *history, uint64_t position, struct buf *ret_bytes)
{
    struct key key = key_log(position);
    struct err err = {0};

    must(store_get(history->mem, key.text, ret_bytes, &err), &err);
}

void history_store_pack(struct history *history, uint64_t first, uint64_t last)
{
    CLEANUP(buf_clearp) struct buf object = BUF_INIT(PACK_SIZE_MAX);
    size_t count = (size_t)(last - first + 1);
    CLEANUP(freep) uint64_t *sizes = xcalloc(count, sizeof(sizes[0]));
    struct err err = {0};

    for (size_t at = 0; at < count; at++)
        must(store_stat(history->mem, key_log(first + at).text, &sizes[at], &err), &err);
    pack_begin(&object, first, sizes, count);
    for (size_t at = 0; at < count; at++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
        struct record record;
        must(log_read(history->mem, &history->lineage, first + at, &bytes, &record, &err), &err);
        pack_add(&object, &record);
    }
    pack_end(&object);
    must(store_put(history->mem, key_pack(first, last).text, object.bytes, object.size, &err), &err);
}

void history_pack(struct history *history, uint64_t first, uint64_t last)
{
    struct err err = {0};

    history_store_pack(history, first, last);
    for (uint64_t position = first; position <= last; position++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
        struct record record;
        must(log_read(history->mem, &history->lineage, position, &bytes, &record, &err), &err);
        if (record.header.kind != RECORD_OPEN)
            must(store_delete(history->mem, key_log(position).text, &err), &err);
    }
}
