#include "snapshot/removal.h"

#include <stdio.h>

enum { PENDING_MAX = 8 };

void key_list_add(struct key_list *list, const char *key)
{
    list->keys = xrealloc(list->keys, (list->count + 1) * sizeof(list->keys[0]));
    (void)snprintf(list->keys[list->count++].text, KEY_SIZE, "%s", key);
}

bool key_list_collect(void *context, const struct store_entry *entry, struct err *err)
{
    (void)err;
    key_list_add(context, entry->key);
    return true;
}

void key_list_clear(struct key_list *list)
{
    free(list->keys);
    *list = (struct key_list){0};
}

bool removal_is_stopped(const struct removal *removal, struct err *err)
{
    if (!removal->canceled || !atomic_load(removal->canceled))
        return false;
    err_record(err, ERR_CANCELED, "pruning was stopped");
    return true;
}

bool removal_delete(const struct removal *removal, const char *key, struct err *err)
{
    const struct removal_watch *watch = removal->watch;

    if (removal_is_stopped(removal, err))
        return false;
    if ((!watch || !watch->dry) && !store_delete(removal->store, key, err))
        return false;
    if (watch)
        watch->report(watch->context, key);
    return true;
}

/* One key of a list on its way through a worker. */
struct one_key {
    const struct removal *removal;
    const char *key;
    removal_task *task;
    void *context;
};

static bool take_one(void *context, struct err *err)
{
    CLEANUP(freep) struct one_key *one = context;

    return !removal_is_stopped(one->removal, err) && one->task(one->context, one->key, err);
}

bool removal_each(const struct removal *removal, const struct key_list *list, removal_task *task,
                  void *context, struct err *err)
{
    struct task_group group;

    group_init(&group, removal->pool, PENDING_MAX);
    for (size_t at = 0; at < list->count && !group_failed(&group); at++) {
        struct one_key *one = xmalloc(sizeof(*one));
        *one = (struct one_key){removal, list->keys[at].text, task, context};
        group_submit(&group, take_one, one);
    }
    return group_wait(&group, err);
}

static bool delete_one(void *context, const char *key, struct err *err)
{
    const struct removal *removal = context;

    return removal_delete(removal, key, err);
}

bool removal_run(const struct removal *removal, const struct key_list *list, struct err *err)
{
    struct removal copy = *removal;

    return removal_each(removal, list, delete_one, &copy, err);
}
