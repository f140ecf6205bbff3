/* Deletions that wait.
 *
 * An application may unlink a file before it commits that the file is gone; a state that names a missing file
 * is broken for good (Convex: facts/convex.md 1.3), while an extra file harms nobody. So a file that vanished
 * stays in what is shipped until at least one commit and 60 s have passed, or the application has ended. */
#ifndef SNAPSHOT_DELETIONS_H
#define SNAPSHOT_DELETIONS_H

#include "snapshot/base.h"

struct deletion {
    char *path;
    uint64_t since_ms; /* monotonic: when it was noticed first */
    uint64_t commits;  /* how many commits had been seen by then */
};

struct deletions {
    struct deletion *list; /* ascending path */
    size_t count;
};

/* When the fresh scan was made. The counts of commits grow with each one. */
struct deletion_moment {
    uint64_t now_ms;
    uint64_t commits_frozen; /* what the state contains that is about to be shipped */
    uint64_t commits_seen;   /* at or after the scan; more, if the application went on meanwhile */
    const struct base_database *databases; /* as frozen; without any, nothing can name a file that is gone */
    size_t databases_count;
};

/* Adds to `now` (a fresh scan, sorted) the files of `before` that vanished from it and have to stay; they get
 * inode 0. One that has become a database, or the side file of one, has not vanished. */
void deletions_hold(struct deletions *deletions, struct tree *before, struct tree *now,
                    const struct deletion_moment *moment);
void deletions_clear(struct deletions *deletions);

#endif
