/* What this disk holds, compared with a base. The engine's thread. */
#ifndef SNAPSHOT_LOCAL_H
#define SNAPSHOT_LOCAL_H

#include "snapshot/follower.h"
#include "snapshot/state.h"

/* What was found before anything was attached. */
struct local_match {
    bool matched[DATABASE_FREEZE_MAX]; /* by index in the manifest: the database file has exactly the base's
                                          pages; a log may hold more */
    bool gone[DATABASE_FREEZE_MAX];    /* it was seen to leave this disk, and no record says so yet */
    bool exact;                        /* all but those are matched, and there is no log beside them */
    char doubt[256];                   /* local_prove() only: what isn't proven, as a clause */
};

struct local_question {
    struct follower *follower; /* to which everything is attached */
    int directory_fd;
    const struct manifest *manifest;
    const struct state_point *point;
    const struct gone_list *gone;
};

/* Reads every database that the manifest names and compares its pages' hash. Only while none of them is
 * attached: it opens and closes the files. */
bool local_compare(int directory_fd, const struct manifest *manifest, struct local_match *ret_match,
                   struct err *err) CHECKED;

/* Whether this disk contains the base, or what followed it: each database is attached and contained, by match
 * or by the marks that were remembered for it (WAL frame and salts), or it is gone (gone.h). Without a
 * database that is there, all depends on the files: each has its size and mtime. Conservative: unsure is
 * false, and match->doubt says of what. match->exact becomes true where the logs show that nothing was
 * committed since. */
bool local_prove(const struct local_question *question, struct local_match *match, bool *ret_proven,
                 struct err *err) CHECKED;

/* Gives the files of manifest->tree the identity (inode, ctime) that they have on this disk, where size and
 * mtime are those of the manifest. For a tree that this process has just written: what is unchanged isn't
 * read again. */
bool local_identify(int directory_fd, const struct globs *exclude, const struct globs *databases,
                    struct manifest *manifest, struct err *err) CHECKED;

#endif
