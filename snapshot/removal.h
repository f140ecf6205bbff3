/* Lists of keys, and their deletion in parallel: what prune.c and sweep.c share. One thread calls these. */
#ifndef SNAPSHOT_REMOVAL_H
#define SNAPSHOT_REMOVAL_H

#include "base/thread.h"
#include "snapshot/key.h"
#include "snapshot/store/store.h"

/* How much is listed, read or deleted in one step: pruning goes on beside an application that is served. */
enum { REMOVAL_PAGE = 64 };

struct key_list {
    struct key *keys;
    size_t count;
};

void key_list_add(struct key_list *list, const char *key);
/* A store_visitor whose context is a list. */
bool key_list_collect(void *context, const struct store_entry *entry, struct err *err);
void key_list_clear(struct key_list *list);

/* Whoever wants to know what goes. */
struct removal_watch {
    bool dry; /* nothing is deleted, only told */
    /* By any of the workers, in any order; after the deletion if there was one. */
    void (*report)(void *context, const char *key);
    void *context;
};

/* Where to delete, and with what. All of it is borrowed. */
struct removal {
    struct store *store; /* with retry */
    struct pool *pool;
    const atomic_bool *canceled;       /* may be NULL */
    const struct removal_watch *watch; /* may be NULL */
};

/* ERR_CANCELED as soon as *canceled. */
bool removal_is_stopped(const struct removal *removal, struct err *err);
/* Deletes one object, which may be gone already. Any thread. */
bool removal_delete(const struct removal *removal, const char *key, struct err *err) CHECKED;

/* What to do about one key of a list; called by workers, in parallel. */
typedef bool removal_task(void *context, const char *key, struct err *err);
/* Calls task for each key, 8 at a time. */
bool removal_each(const struct removal *removal, const struct key_list *list, removal_task *task,
                  void *context, struct err *err) CHECKED;
/* Deletes them all. */
bool removal_run(const struct removal *removal, const struct key_list *list, struct err *err) CHECKED;

#endif
