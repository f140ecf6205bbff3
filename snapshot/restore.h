/* Bringing a base back: fetched, verified and written in parallel, within a fixed memory budget.
 *
 * Fetching begins with restore_open(), while the takeover is still under way; nothing is written until
 * restore_release(). A reader that only wants proof releases without a place: everything is fetched and
 * checked, nothing is written. One thread owns a restore; its fetchers are its own. */
#ifndef SNAPSHOT_RESTORE_H
#define SNAPSHOT_RESTORE_H

#include "snapshot/manifest.h"
#include "snapshot/place.h"
#include "snapshot/store/store.h"

struct restore;

/* Told of each damaged or missing object; the work goes on with the next. Called by one fetcher at a time. */
struct restore_damage {
    void (*report)(void *context, const char *key, const char *reason);
    void *context;
};

/* What is right on this disk already and needs neither fetching nor writing: by index in the manifest; NULL:
 * nothing. */
struct restore_kept {
    const bool *entries;
    const bool *databases;
};

/* Starts to fetch. manifest, kept and damage (NULL: the first fault ends it) are borrowed until
 * restore_free(). */
bool restore_open(struct store *store, const struct manifest *manifest, const struct restore_kept *kept,
                  const struct restore_damage *damage, const atomic_bool *canceled,
                  struct restore **ret_restore, struct err *err) CHECKED;

/* Databases of at least so many bytes are written past the page cache (place.h), instead of 64 MiB. Before
 * restore_release(). */
void restore_set_direct_from(struct restore *restore, uint64_t bytes);

/* Allows writing into place (borrowed; NULL: verify only). Creates directories, symlinks and empty files
 * here. Databases of the manifest that have page hashes by now get theirs filled in. */
bool restore_release(struct restore *restore, struct place *place, struct err *err) CHECKED;

/* Waits until all is fetched, proved, written and durable (directories are place_finish()'s). ERR_CORRUPT
 * begins with the key of the object. */
bool restore_wait(struct restore *restore, struct err *err) CHECKED;

/* Says, before restore_wait(), that records follow which change what is restored here: databases are proved
 * but stay open for restore_take_database(), and a blob that is absent is no fault yet. Whoever dropped it
 * later may have let it be deleted; restore_next_missing() tells of it. */
void restore_expect_more(struct restore *restore);
/* The file of this database of the manifest, open for reading and writing, the caller's now. */
int restore_take_database(struct restore *restore, size_t index);
/* The path of a file that lacks a blob, and why; NULL after the last one. *at begins with 0. */
const char *restore_next_missing(const struct restore *restore, size_t *at, const char **ret_why);

/* Waits at most timeout_ms; true if the fetchers are done and restore_wait() will not block. */
bool restore_wait_for(struct restore *restore, uint64_t timeout_ms);

/* Uncompressed bytes. Any thread. */
void restore_progress(struct restore *restore, uint64_t *ret_done, uint64_t *ret_total);
uint64_t restore_objects(const struct restore *restore);

/* Ends the fetchers, however far they are. NULL is fine. */
void restore_free(struct restore *restore);
DEFINE_CLEANUP(struct restore *, restore_free, restore_freep)

#endif
