#include "tests/double/history.h"

#include "snapshot/identity.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

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
