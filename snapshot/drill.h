/* The drill: what `verify --deep` does, on a schedule, beside an application that is served.
 *
 * A backup that nobody restores is a hope. So everything in the store is read back and proved now and then,
 * and the newest and the oldest point are restored into a scratch directory, where SQLite judges each
 * database. Nothing follows from a failure but that it is told. The drill reads the store as any other
 * reader, knows nothing of the engine beside it, and never touches the data directory outside of its scratch
 * directory. */
#ifndef SNAPSHOT_DRILL_H
#define SNAPSHOT_DRILL_H

#include "base/cleanup.h"
#include "snapshot/store/store.h"

enum drill_event {
    DRILL_DAMAGE,  /* an object is damaged or missing: "KEY: reason"; the first ten of a drill */
    DRILL_PASSED,  /* everything is whole and can be restored */
    DRILL_FAILED,  /* it isn't, or that can't be told */
    DRILL_SKIPPED, /* it can't take place here: no room, nothing to restore yet */
};

struct drill_config {
    struct store *store;        /* with retry; its requests end when *canceled becomes true */
    const char *data_directory; /* holds .holdfast/, which takes the scratch directory */
    uint64_t interval_ms;       /* above 0: between beginnings, and before the first */
    atomic_bool *canceled;      /* what drill_cancel() sets */
    /* What an operator should hear; from the drill's thread. text: one sentence. */
    void (*tell)(void *context, enum drill_event event, const char *text);
    void *context;
};

struct drill_status {
    bool running;
    uint64_t success_ns; /* when the last one passed; 0: none did yet */
    uint64_t failure_ns;
    uint64_t failures;
    char problem[1100]; /* why the last one failed or was skipped; empty: it passed */
};

struct drill;

/* Strings, store and flag are borrowed for the drill's life. Nothing runs yet. */
bool drill_open(const struct drill_config *config, struct drill **ret_drill, struct err *err) CHECKED;
/* Starts the thread: the first drill comes an interval later. Once. */
bool drill_begin(struct drill *drill, struct err *err) CHECKED;
/* Ends what is under way, and no other will come. Any thread, doesn't wait. NULL is fine. */
void drill_cancel(struct drill *drill);
/* The same, and waits until the scratch directory is gone. NULL is fine. */
void drill_free(struct drill *drill);
/* A copy. Any thread. */
void drill_status(struct drill *drill, struct drill_status *ret_status);

#endif
