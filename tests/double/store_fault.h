/* A store that fails as told, over any other, and remembers what it was asked: for sweeps ("the n-th request
 * fails, once or for good") and for tests of retries, round trips and concurrency. Any thread may use it.
 *
 *     struct store *faulty = store_fault_new(mem);
 *     store_fault_add(faulty, &(struct store_fault){.operation = "create", .key = "log/", .skip = 2,
 *                                                   .times = 1, .kind = FAULT_AFTER, .code = ERR_TRANSIENT});
 *
 * makes the third create below log/ succeed in the store and report a broken connection. */
#ifndef TESTS_DOUBLE_STORE_FAULT_H
#define TESTS_DOUBLE_STORE_FAULT_H

#include "snapshot/store/store.h"

enum fault_kind {
    FAULT_BEFORE,   /* fails with `code`; the store never hears of it */
    FAULT_AFTER,    /* is carried out, then reported as failed with `code` */
    FAULT_FLIP,     /* a get succeeds with one bit changed in the middle */
    FAULT_TRUNCATE, /* a get succeeds with half of the bytes */
    FAULT_DELAY,    /* waits delay_ms, then goes on as if nothing had been */
    FAULT_HOLD,     /* waits for store_fault_release(), then goes on */
};

struct store_fault {
    const char *operation; /* "create" … as in struct store_observer; NULL: any */
    const char *key;       /* what the key (or the listed prefix) begins with; NULL: any */
    size_t skip;           /* so many matching calls pass first */
    size_t times;          /* so many are hit then; 0: all */
    enum fault_kind kind;
    enum err_code code;
    uint64_t delay_ms;
};

enum { STORE_FAULTS_MAX = 16 };

/* Borrows inner. Freed with store_free(). */
struct store *store_fault_new(struct store *inner);

/* Faults are looked through in the order of their addition; the first that hits decides. Borrows the strings.
 */
void store_fault_add(struct store *store, const struct store_fault *fault);
/* Forgets all faults, and lets go of what is held. */
void store_fault_clear(struct store *store);
/* Lets held calls go on, now and until the next FAULT_HOLD is added. */
void store_fault_release(struct store *store);

/* How many matching calls have begun so far, whatever became of them; NULL matches any. */
size_t store_fault_count(struct store *store, const char *operation, const char *key);
/* Waits until that many matching calls have begun: for tests that must not sleep and hope. */
void store_fault_await(struct store *store, const char *operation, const char *key, size_t count);
/* The largest number of calls that were under way at once. */
size_t store_fault_parallel(struct store *store);
/* Adds one line, "create log/… conflict", for each call that has ended, in that order. */
void store_fault_log(struct store *store, struct buf *text);

/* What store_pause_ms() answers from now on (a Retry-After). */
void store_fault_pause(struct store *store, uint64_t pause_ms);

#endif
