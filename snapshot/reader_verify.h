/* Between reader_verify.c (bases, and until a plan holds) and reader_verify_log.c (records). */
#ifndef SNAPSHOT_READER_VERIFY_H
#define SNAPSHOT_READER_VERIFY_H

#include "snapshot/blob_names.h"
#include "snapshot/reader_internal.h"

struct finding {
    char *key;
    char *reason;
};

struct findings {
    struct finding *list;
    size_t count;
};

struct verification {
    struct store *store;
    struct id lineage;
    const struct reader_progress *progress;
    const atomic_bool *canceled;
    struct reader_result result;
    uint64_t bytes_read;      /* so far, of what progress tells, uncompressed */
    struct blob_names proved; /* read already, good or bad */
    struct blob_names dead;   /* dropped at or below the horizon */
    uint64_t horizon;
    struct findings findings;
    uint64_t lowest; /* S of the oldest base that counts: above it no record may be missing */
    uint64_t next;   /* the base before the last one that was read */
};

/* Notes that the object is damaged or missing. Also called by the fetchers of a restore, one at a time, while
 * nothing else runs here. context: the verification. */
void verification_note(void *context, const char *key, const char *reason);
/* An error that says something about an object is a finding; any other ends the work. */
bool verification_finds(struct verification *verification, const char *key, const struct err *why);

/* Reads every record, those that nothing needs too, and what data records speak of. */
bool verification_read_log(struct verification *verification, struct err *err) CHECKED;

#endif
