/* A log in a store in memory, record after record, without an engine: for tests of what reads one. */
#ifndef TESTS_DOUBLE_HISTORY_H
#define TESTS_DOUBLE_HISTORY_H

#include "snapshot/chain.h"
#include "snapshot/log.h"
#include "snapshot/pack.h"
#include "tests/double/store_mem.h"

enum { HISTORY_MAX = 1500 };

struct history {
    struct store *mem;
    struct id lineage;
    struct id owner;
    struct log log;
    struct digest hashes[HISTORY_MAX + 1]; /* by position */
};

/* With holdfast.json and the open record at 1. */
void history_begin(struct history *history);
void history_end(struct history *history);

/* Appends a record and gives its position. */
uint64_t history_append(struct history *history, const struct log_change *change);
/* Records that change nothing and have so many bytes of body: opens, so that the body is nobody's business.
 */
void history_fill(struct history *history, size_t count, size_t body_size);
/* Data records whose bodies hold one section of about so many bytes: a path that is gone. At most 4000. */
void history_work(struct history *history, size_t count, size_t body_size);
uint64_t history_head(const struct history *history);

/* The range (after, through], anchored at both ends. */
struct chain_range history_range(const struct history *history, uint64_t after, uint64_t through);

/* Replaces record `position` by these bytes. */
void history_replace(struct history *history, uint64_t position, const struct buf *bytes);
void history_read(struct history *history, uint64_t position, struct buf *ret_bytes);

/* Stores a pack of these records, which are loose. */
void history_store_pack(struct history *history, uint64_t first, uint64_t last);
/* And deletes all but opens from log/, as an owner does. */
void history_pack(struct history *history, uint64_t first, uint64_t last);

#endif
