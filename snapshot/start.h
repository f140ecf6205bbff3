/* The start sequence: find out what the store holds, and take over (docs/DESIGN.md, The start sequence).
 *
 *   start_survey()   trips 1 and 2: list, probe, read holdfast.json, the head and the newest manifests
 *   start_claim()    trip 3: PUT our open behind the head
 *   start_confirm()  trip 4: it counts only when a LIST begun after that PUT shows it as the newest record
 *
 * Nothing is launched, uploaded, appended or deleted before start_confirm() has succeeded. One thread calls
 * these; requests of one trip go out together on the pool. */
#ifndef SNAPSHOT_START_H
#define SNAPSHOT_START_H

#include "base/thread.h"
#include "snapshot/chain.h"
#include "snapshot/engine.h"
#include "snapshot/log.h"
#include "snapshot/manifest.h"
#include "snapshot/patience.h"

struct start {
    const struct engine_config *config;
    struct store *store; /* with retry */
    struct pool *pool;
    const atomic_bool *canceled;
    struct id owner;
    /* What the state file remembers, for a warm disk; zero position: nothing. Borrowed. */
    const struct record_header *remembered;
    const struct digest *remembered_hash;
    void (*step)(void *context, const char *text);
    void (*warn)(void *context, const char *text); /* what an operator should know */
    void *context;
    struct patience patience; /* of this claim, however often it surveys */

    /* Results of the survey. */
    bool store_empty;
    bool fencing; /* the store keeps conditions */
    struct id lineage;
    struct log log; /* follows the head */
    bool has_manifest;
    struct manifest manifest;     /* of the base that the head names; valid if has_manifest */
    uint64_t head;                /* position of the record before our open */
    struct chain_listing listing; /* the newest 1000 records */

    /* The record whose state is brought back, if that isn't the head; position 0: the head. */
    struct record_header goal;
    struct digest goal_hash;

    /* A manifest on its way beside another trip. */
    struct task_group prefetch;
    bool prefetching;
    struct key prefetched_key;
    struct buf prefetched; /* empty if it could not be had */
};

void start_init(struct start *start);
void start_clear(struct start *start);

/* Fills the results. lineage of an empty store is new and written (first boot's PUT of holdfast.json), unless
 * `refuse` says no to that first: it is called when the store turned out to be empty, before anything but the
 * probe is written. with_manifest: read the manifest of the head's base. ERR_CONFIG: the store ignores
 * conditions, the clock is off, permission. ERR_CORRUPT: an object is damaged or missing. */
bool start_survey(struct start *start, bool with_manifest, bool (*refuse)(void *context, struct err *err),
                  void *context, struct err *err) CHECKED;

/* Waits for a predecessor that is draining, as long as it said and HOLDFAST_TAKEOVER_WAIT allows; then, once,
 * as long as a duel demands (HOLDFAST_DUEL_WAIT), with a warning. *ret_moved: the log has moved, survey
 * again.
 */
bool start_wait(struct start *start, bool *ret_moved, struct err *err) CHECKED;

/* Puts the open. *ret_behind: another record was there first and ours went behind it; its base may differ
 * from the survey's manifest, which is then read again. */
bool start_claim(struct start *start, struct err *err) CHECKED;

/* It is read anew when it is needed again. */
void start_forget_manifest(struct start *start);

/* The newest record that isn't our own open, before and after the claim. */
struct chain_anchor start_head(const struct start *start);

/* The record whose state this start is about, the head unless another is set, and what its header says: of
 * the base that the state begins with, too. */
struct chain_anchor start_goal(const struct start *start);
const struct record_header *start_goal_header(const struct start *start);
/* Makes an earlier record the goal, or (NULL) the head again. The manifest is read anew where the base is
 * another one. */
void start_set_goal(struct start *start, const struct record_header *header, const struct digest *hash);

enum start_verdict { START_OWNER, START_VOID };

/* START_VOID: our open fell into a hole of the log; survey again. ERR_FENCED: another took over from us. */
bool start_confirm(struct start *start, enum start_verdict *ret_verdict, struct err *err) CHECKED;

/* Begins to fetch the manifest that the head names, beside the claim, so that it costs no trip of its own. */
void start_prefetch_manifest(struct start *start);

/* Reads the manifest that the goal names, unless it is there already. ERR_NOT_FOUND if it names none. */
bool start_load_manifest(struct start *start, struct err *err) CHECKED;

#endif
