/* What a restore ends with: databases whose pages have proved themselves, and files that may lack something.
 *
 * A base that records go on from may name a blob that one of these records dropped. Such a blob may be
 * deleted once the horizon has passed that record, while the base is still what the points after it are
 * restored from (protocol.md, P6). So its absence is noted here, and judged when the records were applied. */
#include "snapshot/restore_internal.h"

#include <assert.h>
#include <string.h>

void restore_expect_more(struct restore *restore)
{
    MUTEX_GUARD(&restore->mutex);
    restore->goes_on = true;
}

int restore_take_database(struct restore *restore, size_t index)
{
    assert(restore->goes_on && index < restore->manifest->databases_count);
    return MOVE_FD(restore->databases[index].fd);
}

bool restore_note_missing(struct restore *restore, size_t entry, const struct err *why)
{
    MUTEX_GUARD(&restore->mutex);
    restore->missing = xrealloc(restore->missing, (restore->missing_count + 1) * sizeof(restore->missing[0]));
    restore->missing[restore->missing_count++] = (struct restore_missing){entry, xstrdup(why->text)};
    return true;
}

void restore_clear_missing(struct restore *restore)
{
    for (size_t at = 0; at < restore->missing_count; at++)
        free(restore->missing[at].why);
    free(restore->missing);
}

const char *restore_next_missing(const struct restore *restore, size_t *at, const char **ret_why)
{
    const struct restore_missing *missing;

    if (*at == restore->missing_count)
        return NULL;
    missing = &restore->missing[(*at)++];
    *ret_why = missing->why;
    return tree_path(restore->manifest->tree, tree_at(restore->manifest->tree, missing->entry));
}

static bool prove_database(struct restore *restore, size_t index, struct err *err)
{
    const struct manifest_database *database = &restore->manifest->databases[index];
    struct database_job *job = &restore->databases[index];

    if (restore_keeps_database(restore, index))
        return true;
    if (job->fd >= 0 && !place_leave_direct(job->fd, database->pages * database->page_size, err))
        return err_wrap(err, "write %s", database->path);
    if (atomic_load(&job->rolling_hash) != database->rolling_hash) {
        struct err damage = {0};
        struct key key =
            key_base(restore->manifest->position, &restore->manifest->owner, restore->manifest->n);
        (void)err_set(&damage, ERR_CORRUPT, "%s: the pages of %s don't have the hash that it states",
                      key.text, database->path);
        if (restore_forgive(restore, &damage))
            return true;
        *err = damage;
        return false;
    }
    return job->fd < 0 || restore->goes_on ||
           place_seal(job->fd, database->mode, database->uid, database->gid, database->mtime_ns, err);
}

bool restore_wait(struct restore *restore, struct err *err)
{
    if (!group_wait(&restore->group, err))
        return false;
    if (restore->missing_count > 0 && !restore->goes_on)
        return err_set(err, ERR_CORRUPT, "%s", restore->missing[0].why);
    /* A part that was reported damaged leaves its database without proof; that was said already. */
    for (size_t at = 0; !restore->damaged && at < restore->manifest->databases_count; at++)
        if (!prove_database(restore, at, err))
            return false;
    return true;
}
