/* Between reader.c (the head, bases), reader_plan.c, reader_list.c, reader_time.c, reader_restore.c,
 * reader_verify.c and reader_deep.c. */
#ifndef SNAPSHOT_READER_INTERNAL_H
#define SNAPSHOT_READER_INTERNAL_H

#include "snapshot/chain.h"
#include "snapshot/manifest.h"
#include "snapshot/reader.h"
#include "snapshot/replay.h"
#include "snapshot/restore.h"

struct reader_head {
    struct id lineage;
    struct record_header header;
    struct digest hash;
};

/* A base record, header and body. */
struct reader_base {
    struct record_header header;
    struct digest hash; /* of the record */
    struct base_body body;
};

enum { READER_PLANS_MAX = 5, READER_REPORT_EVERY_MS = 100 };

/* Whether a plan that failed like this deserves another: bytes may be damaged on their way, and what is
 * missing may have been pruned, so damage counts when a later plan meets the same. before: zeroed at first.
 */
bool reader_looks_again(struct err *before, const struct err *why);

/* ERR_CONFIG: the store holds nothing of holdfast. */
bool reader_find_head(struct store *store, struct reader_head *ret_head, struct err *err) CHECKED;
void reader_base_clear(struct reader_base *base);

/* Visits the base records from the newest back to the horizon, or to where the owner has pruned meanwhile.
 * The visitor returns false to stop: with *err set that is an error, without it is not. One that is damaged
 * or missing is stepped over: the next record below it that can be read tells how. ERR_CORRUPT names the
 * first of these, if the walk came to its end. */
bool reader_walk(struct store *store, const struct reader_head *head,
                 bool (*visit)(void *context, const struct reader_base *base, struct err *err), void *context,
                 struct err *err) CHECKED;

bool reader_load_manifest(struct store *store, const struct reader_base *base, struct manifest *ret_manifest,
                          struct err *err) CHECKED;

/* Where a restore begins and where it ends. */
struct reader_plan {
    struct reader_head head;
    uint64_t through; /* the state at this record is wanted */
    bool is_oldest;   /* that of the oldest base, wherever the walk finds it */
    struct reader_base base;
    bool has_base;
    bool restarts; /* the base record itself is where the state begins */
};

/* Which base gives the state at a record (or READER_LATEST, READER_OLDEST). plan: zeroed. ERR_CONFIG: none.
 */
bool reader_make_plan(struct store *store, uint64_t at, struct reader_plan *plan, struct err *err) CHECKED;
/* The same, of a head that was found before. */
bool reader_plan_from(struct store *store, const struct reader_head *head, uint64_t at,
                      struct reader_plan *plan, struct err *err) CHECKED;
/* Begins to fetch the records behind the plan's base; *ret_chain is NULL if there are none. */
bool reader_open_chain(struct store *store, const struct reader_plan *plan, const struct manifest *manifest,
                       struct chain **ret_chain, struct err *err) CHECKED;

/* Who hears of the records of a chain, one after the other, when they have been applied. */
struct reader_replaying {
    const atomic_bool *canceled; /* may be NULL */
    /* false with *err ends the work. */
    bool (*applied)(void *context, const struct chain *chain, const struct record *record, struct err *err);
    void *context;
};

/* Applies all records of the chain. ERR_CORRUPT and ERR_NOT_FOUND begin with the key of the object at
 * fault. */
bool reader_replay(struct chain *chain, struct replay *replay, const struct reader_replaying *how,
                   struct err *err) CHECKED;

/* What a restore of the plan would write, into databases, files and bytes of *result. Costs the manifest and
 * the records behind it, no parts and no blobs; what was read for the records is added to *read. ERR_CORRUPT
 * and ERR_NOT_FOUND begin with the key of the object at fault: what the records say doesn't fit together, or
 * is gone. */
bool reader_measure(struct store *store, const struct reader_plan *plan, const struct reader_replaying *how,
                    struct reader_result *result, struct chain_listing *read, struct err *err) CHECKED;
/* The same three, of a manifest that is the state already. */
void reader_count(const struct manifest *manifest, struct reader_result *result);

/* Waits for a restore that was released, reporting as it goes, with so many bytes done before and so many to
 * be done after it. */
bool reader_run(struct restore *restore, const struct reader_progress *progress, uint64_t done_before,
                uint64_t more, struct err *err) CHECKED;

/* A point like READER_LATEST: the record of the oldest base that is left. */
#define READER_OLDEST UINT64_MAX

/* What an operator does about a disk that can't take a copy. */
#define READER_ROOM_REMEDY "name a directory on a larger disk"

/* What a copy takes of the disk. */
struct reader_need {
    uint64_t base_bytes;    /* at least */
    uint64_t records_bytes; /* as much again, in the store, may change the base or add to it */
};

/* How a copy is made. progress, canceled and inspect may be NULL. */
struct reader_copying {
    uint64_t at; /* a record, READER_LATEST or READER_OLDEST */
    const struct reader_progress *progress;
    const atomic_bool *canceled;
    /* Before anything is written. false with *err ends the work. */
    bool (*begin)(void *context, const struct reader_need *need, struct err *err);
    /* The state that the manifest says lies in the directory, and was not pruned meanwhile. */
    bool (*inspect)(void *context, struct manifest *manifest, const struct reader_result *result,
                    struct err *err);
    void *context;
};

/* Restores into an empty directory, which is empty again after a failure. ERR_CORRUPT begins with the key of
 * the object at fault. */
bool reader_copy(struct store *store, int directory_fd, const struct reader_copying *how,
                 struct reader_result *ret_result, struct err *err) CHECKED;

#endif
