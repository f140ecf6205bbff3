/* Between changes.c, changes_plan.c and changes_read.c. */
#ifndef SNAPSHOT_CHANGES_INTERNAL_H
#define SNAPSHOT_CHANGES_INTERNAL_H

#include "snapshot/changes.h"
#include "snapshot/file_read.h"

enum change_kind {
    CHANGE_PUT,  /* a directory or a symlink: all is known */
    CHANGE_READ, /* a file, whose content has to be read */
    CHANGE_GONE, /* in `previous` only */
};

/* What became of it. */
enum change_fate {
    FATE_APPLIED, /* in the record */
    FATE_SAME,    /* it was read and is what `previous` has: only its identity is new */
    FATE_STAYS,   /* as in `previous`: left out, or something below it stays */
    FATE_COVERED, /* gone, together with a directory above it */
};

/* A path where `previous` and `now` differ. */
struct change {
    const char *path;                  /* in `now`, or in `previous` if it is gone */
    struct tree_entry entry;           /* of `now`; once it was read, with its status as read */
    const struct tree_entry *previous; /* NULL: there was nothing */
    uint8_t kind;
    uint8_t fate;
    bool large;     /* when it was scanned */
    bool failed;    /* it may not be read */
    uint8_t *frame; /* inline content, owned; NULL: none */
    size_t frame_size;
    struct file_pieces pieces; /* if there are any */
};

struct changes_plan {
    const struct changes_request *request;
    struct change *list; /* in order of path */
    size_t count;
    size_t capacity;
    size_t body_bytes; /* most that the sections take with all contents in blobs */
    bool wants_names;  /* some content may be known by name */
};

/* Finds where the two trees differ. ERR_CONFLICT as in changes_collect(). */
bool changes_plan_make(const struct changes_request *request, struct changes_plan *ret_plan,
                       struct err *err) CHECKED;
void changes_plan_clear(struct changes_plan *plan);
struct change *changes_plan_find(const struct changes_plan *plan, const char *path);

/* Reads the contents: the fates of all CHANGE_READ are set. */
bool changes_read(struct changes_plan *plan, struct changes *changes, struct err *err) CHECKED;

#endif
