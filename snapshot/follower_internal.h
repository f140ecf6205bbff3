/* Between follower.c (positions, freezing, the life of it) and follower_attach.c (looking for databases, and
 * attaching them). */
#ifndef SNAPSHOT_FOLLOWER_INTERNAL_H
#define SNAPSHOT_FOLLOWER_INTERNAL_H

#include "base/thread.h"
#include "snapshot/follower.h"

enum { DATABASES_MAX = 64 };

struct followed {
    struct base_database source; /* path owned */
    uint64_t device;
    uint64_t inode;
};

/* One that can't be followed. */
struct avoided {
    char *path;
    uint64_t retry_ms;
};

struct follower {
    struct follower_config config;
    struct watch *watch;
    uint64_t scanned_events; /* the watch's counter before the last scan */
    bool scanned;
    uint64_t scanned_ms; /* when the last scan ended, and how long it took */
    uint64_t scan_duration_ms;
    char waiting[256]; /* a database that is there and couldn't be attached yet; empty: none */

    pthread_mutex_t mutex; /* guards what follows, which follower_position() reads from any thread */
    struct followed followed[DATABASES_MAX];
    size_t count;
    uint64_t departed; /* commits seen in databases that are gone, so that the sum never falls */
    uint64_t noted;    /* other changes that no event tells of; begins at 1 */

    void (*leave)(void *context, const struct database *database); /* may be NULL */
    void *leave_context;
    struct base_database list[DATABASES_MAX]; /* what follower_databases() shows */
    struct avoided avoided[DATABASES_MAX];
    size_t avoided_count;
    bool warned_skipped;
    bool warned_orphan;
    bool warned_full;
};

struct followed *follower_find(struct follower *follower, const char *path);
/* Lets go of a database. Its commits stay in the position; that it went is a change too. */
void follower_drop(struct follower *follower, struct followed *gone);

/* Remembers a database that can't be followed, warns of it once, and sets the time of the next attempt. */
void follower_avoid(struct follower *follower, const char *path, const struct err *why);
void follower_forget_avoided(struct follower *follower, struct avoided *avoided);

#endif
