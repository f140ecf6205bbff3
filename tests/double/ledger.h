/* A log that is written by hand, record by record: owners follow each other, announce bases whose objects are
 * nothing but keys, and leave things behind. Times are our own, an hour from base to base. */
#ifndef TESTS_DOUBLE_LEDGER_H
#define TESTS_DOUBLE_LEDGER_H

#include "base/thread.h"
#include "snapshot/log.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"

#define HOUR_NS (3600 * UINT64_C(1000000000))
#define HOUR_MS UINT64_C(3600000)

struct ledger {
    struct store *mem;
    struct store *faulty; /* over mem */
    struct pool *pool;
    struct id owner;
    struct log log;
    uint64_t now_ns;
    uint64_t next_n;
};

/* An empty store, opened by a first owner: record 1. */
void ledger_set_up(struct ledger *ledger);
void ledger_tear_down(struct ledger *ledger);

/* Another owner takes over: one open more. */
void ledger_open(struct ledger *ledger);
/* Appends a record of this kind; its position. */
uint64_t ledger_append(struct ledger *ledger, const struct log_change *change);
/* Uploads two parts and a manifest at the head and announces them, dropping a blob (NULL: none); the record's
 * position. An hour passes. */
uint64_t ledger_announce(struct ledger *ledger, uint64_t horizon, const struct blob_name *dropped);

/* What a data record speaks of; each may be left out. */
struct ledger_data {
    const struct blob_name *named; /* by a file of one piece */
    const struct blob_name *dropped;
    uint64_t part; /* n of its bulk */
};

/* Appends a data record; its position. */
uint64_t ledger_append_data(struct ledger *ledger, const struct ledger_data *data);

/* Objects that are only keys. */
void ledger_put(struct ledger *ledger, const char *key);
bool ledger_has(struct ledger *ledger, const char *key);

#endif
