/* The S3 driver's inside, shared by its two halves: single objects (s3.c) and listings (s3_list.c). */
#ifndef SNAPSHOT_STORE_S3_H
#define SNAPSHOT_STORE_S3_H

#include "snapshot/store/credentials.h"
#include "snapshot/store/s3_address.h"
#include "snapshot/store/s3_call.h"
#include "snapshot/store/s3_clock.h"
#include "snapshot/store/s3_sign.h"

struct s3_store {
    struct store store;
    struct s3_address address;
    struct s3_options options;
    struct credentials *credentials;
    const char *bucket; /* the configuration's */
    char *prefix;       /* "" or ending in '/' */
    struct s3_clock clock;
    atomic_bool accepted;       /* the store has taken a signature of ours */
    atomic_ullong paused_until; /* monotonic ms: Retry-After of the newest answer that had one */
};

/* What is asked of one call: the object (or prefix) below the store's prefix, for URL and messages; a
 * listing's query. */
struct s3_question {
    const char *key;
    struct s3_field *query;
    size_t query_count;
};

/* Signs and sends the call, again after renewing what the store has refused (credentials from files, the
 * time), and judges the answer. The call's operation and buffers are set by the caller, who clears it. */
bool s3_ask(struct s3_store *s3, struct s3_call *call, const struct s3_question *question,
            struct err *err) CHECKED;

void s3_call_clear(struct s3_call *call);

/* store_ops.list() */
bool s3_list(struct store *store, const char *prefix, const char *after, size_t limit, store_visitor *visit,
             void *context, struct err *err) CHECKED;

#endif
