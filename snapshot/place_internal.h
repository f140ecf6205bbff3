/* What place.c and place_finish.c share. */
#ifndef SNAPSHOT_PLACE_INTERNAL_H
#define SNAPSHOT_PLACE_INTERNAL_H

#include "snapshot/globs.h"
#include "snapshot/place.h"

struct place {
    int directory_fd; /* the data directory; borrowed */
    int holdfast_fd;  /* .holdfast */
    int staging_fd;   /* .holdfast/staging; -1: in place */
    char *aside;      /* NULL: in place */
    struct globs *exclude;
    struct tree *kept;
};

/* .holdfast, lost+found, what is excluded, and the side files of a database that is here and excluded. */
bool place_leaves_alone(const struct place *place, const char *path);

/* renameat2() that replaces nothing: false with errno, EEXIST if something has the name. */
bool place_rename(int from_fd, const char *from, int to_fd, const char *to);

/* Moves aside what is in the data directory and neither kept nor left alone: first the side files of these
 * databases, whatever is excluded (in place they are removed), then, unless in place, everything. */
bool place_set_aside(const struct place *place, const char *const *databases, size_t databases_count,
                     struct err *err) CHECKED;
/* Gives the folder its name, or removes it if it is empty, and the oldest ones. *ret_set_aside: paths in it.
 */
bool place_finish_aside(const struct place *place, size_t *ret_set_aside, struct err *err) CHECKED;

/* Owner where we may, then mode, for chown takes setuid away. */
bool place_set_owner_and_mode(int fd, uint32_t mode, uint32_t uid, uint32_t gid, struct err *err) CHECKED;
struct timespec place_time(int64_t mtime_ns);

#endif
