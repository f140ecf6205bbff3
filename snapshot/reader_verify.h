/* Between reader_verify.c (bases, and until a plan holds), reader_verify_log.c (records) and
 * reader_verify_claims.c (what they speak of). */
#ifndef SNAPSHOT_READER_VERIFY_H
#define SNAPSHOT_READER_VERIFY_H

#include "snapshot/blob_names.h"
#include "snapshot/chain.h"
#include "snapshot/reader_internal.h"

struct pool;

struct finding {
    char *key;
    char *reason;
};

struct findings {
    struct finding *list;
    size_t count;
};

/* What records speak of and nobody has looked at yet. */
struct claims {
    struct claim *list;
    size_t count;
};

/* The records behind the newest base, if they make sense together: read already, and proved. */
struct replayed {
    struct chain_listing sources; /* empty: nothing was */
    uint64_t first;               /* position of the first record; 0: none */
    struct digest previous;       /* what that one says of the record before it */
};

struct verification {
    struct store *store;
    struct id lineage;
    const struct reader_progress *progress;
    const atomic_bool *canceled;
    struct reader_result result;
    uint64_t bytes_read;      /* so far, of what progress tells */
    uint64_t bytes_ahead;     /* known to follow */
    uint64_t reported_ms;     /* when progress was told last */
    struct blob_names proved; /* read already, good or bad */
    struct blob_names dead;   /* dropped at or below the horizon */
    uint64_t horizon;
    struct findings findings;
    struct claims claims;
    struct replayed replayed;
    uint64_t lowest; /* S of the oldest base that counts: above it no record may be missing */
    uint64_t next;   /* the base before the last one that was read */
};

/* Notes that the object is damaged or missing. Also called by the fetchers of a restore, one at a time, while
 * nothing else runs here. context: the verification. */
void verification_note(void *context, const char *key, const char *reason);
/* An error that says something about an object is a finding; any other ends the work. */
bool verification_finds(struct verification *verification, const char *key, const struct err *why);

/* Tells progress, now and then: so much of what is read at the moment. */
void verification_report(struct verification *verification, uint64_t done, uint64_t total);

void claims_clear(struct claims *claims);
/* Claims what a record speaks of, if it is a data record. ERR_CORRUPT: it can't be read. */
bool verification_claim(struct verification *verification, const struct record *record,
                        struct err *err) CHECKED;
/* Looks at all that was claimed, and wasn't looked at before. */
bool verification_settle(struct verification *verification, struct pool *pool, struct err *err) CHECKED;

/* Reads every record that was not replayed, those that nothing needs too, and what data records speak of. */
bool verification_read_log(struct verification *verification, struct err *err) CHECKED;

#endif
