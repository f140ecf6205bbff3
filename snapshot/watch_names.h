/* The databases whose events don't count. Private to watch.c. */
#ifndef SNAPSHOT_WATCH_NAMES_H
#define SNAPSHOT_WATCH_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct watch_names {
    char **list;
    size_t count;
};

void watch_names_add(struct watch_names *names, const char *path);
void watch_names_remove(struct watch_names *names, const char *path);
void watch_names_clear(struct watch_names *names);
/* Whether what happened at the path is a database's own affair: anything to a side file of it, or to the
 * database itself unless its name comes or goes. */
bool watch_names_own(const struct watch_names *names, const char *path, bool name_moves);

#endif
