#include "snapshot/gone.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void gone_clear(struct gone_list *list)
{
    for (size_t at = 0; at < list->count; at++)
        free(list->databases[at].path);
    free(list->databases);
    *list = (struct gone_list){0};
}

static struct gone_database *find(const struct gone_list *list, const char *path, uint64_t incarnation)
{
    for (size_t at = 0; at < list->count; at++)
        if (list->databases[at].incarnation == incarnation && strcmp(list->databases[at].path, path) == 0)
            return &list->databases[at];
    return NULL;
}

void gone_add(struct gone_list *list, const char *path, uint64_t incarnation, const struct file_id *was)
{
    size_t size = (list->count + 1) * sizeof(list->databases[0]);

    assert(incarnation != 0 && was->inode != 0);
    if (list->count >= GONE_MAX || find(list, path, incarnation))
        return;
    if (list->count == 0)
        boot_id(list->boot);
    list->databases = xrealloc(list->databases, size);
    /* Until that is looked at, it has its name. */
    list->databases[list->count++] = (struct gone_database){xstrdup(path), incarnation, *was, *was};
}

bool gone_look(struct gone_list *list, int directory_fd)
{
    bool moved = false;

    for (size_t at = 0; at < list->count; at++) {
        struct gone_database *database = &list->databases[at];
        struct file_id now;
        if (!file_id_at(directory_fd, database->path, &now) ||
            (now.inode == database->now.inode && now.birth_ns == database->now.birth_ns))
            continue;
        database->now = now;
        moved = true;
    }
    return moved;
}

static bool is_kept(const struct gone_database *gone, const struct manifest *state, const bool *which)
{
    const struct manifest_database *named = manifest_find_database(state, gone->path);

    return named && named->incarnation == gone->incarnation && (!which || which[named - state->databases]);
}

void gone_keep(struct gone_list *list, const struct manifest *state, const bool *which)
{
    size_t kept = 0;

    for (size_t at = 0; at < list->count; at++) {
        if (is_kept(&list->databases[at], state, which))
            list->databases[kept++] = list->databases[at];
        else
            free(list->databases[at].path);
    }
    list->count = kept;
    if (kept == 0)
        gone_clear(list);
}

bool gone_has(const struct gone_list *list, const char *path, uint64_t incarnation)
{
    return find(list, path, incarnation) != NULL;
}

static bool is_this_boot(const struct gone_list *list)
{
    char now[BOOT_ID_SIZE];

    boot_id(now);
    return now[0] != '\0' && strcmp(now, list->boot) == 0;
}

bool gone_proves(const struct gone_list *list, int directory_fd, const struct manifest_database *database)
{
    static const struct file_id nothing;
    const struct gone_database *gone = find(list, database->path, database->incarnation);
    struct file_id now;

    if (!gone || !is_this_boot(list) || !file_id_differs(&gone->was, &gone->now) ||
        !file_id_at(directory_fd, database->path, &now))
        return false;
    return file_id_same(&now, &nothing) || file_id_same(&now, &gone->now);
}
