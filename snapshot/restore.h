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

/* Allows writing into place (borrowed; NULL: verify only). Creates directories, symlinks and empty files
 * here. */
bool restore_release(struct restore *restore, struct place *place, struct err *err) CHECKED;

/* Waits until all is fetched, proved, written and durable (directories are place_finish()'s). ERR_CORRUPT
 * names the object. */
bool restore_wait(struct restore *restore, struct err *err) CHECKED;

/* Waits at most timeout_ms; true if the fetchers are done and restore_wait() will not block. */
bool restore_wait_for(struct restore *restore, uint64_t timeout_ms);

/* Uncompressed bytes. Any thread. */
void restore_progress(struct restore *restore, uint64_t *ret_done, uint64_t *ret_total);
uint64_t restore_objects(const struct restore *restore);

/* Ends the fetchers, however far they are. NULL is fine. */
void restore_free(struct restore *restore);
DEFINE_CLEANUP(struct restore *, restore_free, restore_freep)

#endif
