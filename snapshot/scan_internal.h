/* Between scan.c (what is what in a directory) and scan_touched.c (which names are looked at). */
#ifndef SNAPSHOT_SCAN_INTERNAL_H
#define SNAPSHOT_SCAN_INTERNAL_H

#include "base/walk.h"
#include "snapshot/scan.h"

#include <sys/stat.h>

struct scan {
    const struct scan_options *options;
    struct walk walk;
    struct scan_result result;
    size_t *stems; /* indexes of names in the current directory that are SQLite's by content, ascending */
    size_t stems_count;
    size_t stems_capacity;
    bool any_side;          /* a name in the current directory ends like a side file */
    struct scan_part *part; /* NULL: everything is looked at */
};

/* Looks at the names that the walk has listed. */
bool scan_current(struct scan *scan, struct err *err) CHECKED;
/* Goes into the directories that were met, and all below them. */
bool scan_rest(struct scan *scan, struct err *err) CHECKED;
void scan_add_entry(struct scan *scan, enum entry_kind kind, const char *path, const struct stat *status,
                    const char *target);
/* Puts the result in order and hands it over. */
void scan_take_result(struct scan *scan, struct scan_result *ret_result);
void scan_clear(struct scan *scan);

/* scan_sides.c. Whether the current directory lists such a file beside the name. */
bool scan_has_side(const struct walk *walk, const char *name, const char *suffix);
bool scan_has_any_side(const struct walk *walk, const char *name);
/* Whether there is one with something in it. */
bool scan_has_filled_side(const struct walk *walk, const char *name, const char *suffix);
/* Whether the file alone is not what was committed: something is in its log, or its journal is hot. */
bool scan_is_open_ended(const struct walk *walk, const char *name);

/* Whether this path is to be in the result now; if not, it is in the list only for what it says of others. */
bool scan_part_wants(struct scan_part *part, const char *path);
/* Whether what is below the directory is known. */
bool scan_part_knows(struct scan_part *part, const char *path, const struct stat *status);
/* An entry is added. */
void scan_part_note(struct scan_part *part, const struct stat *status);

static inline void scan_clearp(struct scan *scan)
{
    scan_clear(scan);
}

#endif
