#include "snapshot/watch_names.h"

#include "base/buf.h"
#include "snapshot/scan.h"

#include <stdlib.h>
#include <string.h>

void watch_names_add(struct watch_names *names, const char *path)
{
    names->list = xrealloc(names->list, (names->count + 1) * sizeof(names->list[0]));
    names->list[names->count++] = xstrdup(path);
}

void watch_names_remove(struct watch_names *names, const char *path)
{
    for (size_t at = 0; at < names->count; at++) {
        if (strcmp(names->list[at], path) != 0)
            continue;
        free(names->list[at]);
        names->list[at] = names->list[--names->count];
        return;
    }
}

void watch_names_clear(struct watch_names *names)
{
    for (size_t at = 0; at < names->count; at++)
        free(names->list[at]);
    free(names->list);
    *names = (struct watch_names){0};
}

bool watch_names_own(const struct watch_names *names, const char *path, bool name_moves)
{
    for (size_t at = 0; at < names->count; at++) {
        size_t length = strlen(names->list[at]);
        if (strncmp(path, names->list[at], length) != 0)
            continue;
        if (path[length] == '\0')
            return !name_moves;
        if (scan_stem_length(path) == length)
            return true;
    }
    return false;
}
