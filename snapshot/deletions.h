/* Deletions that wait.
 *
 * An application may unlink a file before it commits that the file is gone; a state that names a missing file
 * is broken for good (Convex: facts/convex.md 1.3), while an extra file harms nobody. So a file that vanished
 * stays in what is shipped until at least one commit and 60 s have passed, or the application has ended. */
#ifndef SNAPSHOT_DELETIONS_H
#define SNAPSHOT_DELETIONS_H

#include "snapshot/tree.h"

struct deletion {
    char *path;
    uint64_t since_ms; /* monotonic */
    uint64_t commits;  /* how many commits there had been */
};

struct deletions {
    struct deletion *list; /* ascending path */
    size_t count;
};

/* Adds to `now` (a fresh scan, sorted) the files of `before` that vanished from it and have to stay; they get
 * inode 0. commits: a number that grows with each commit. */
void deletions_hold(struct deletions *deletions, struct tree *before, struct tree *now, uint64_t now_ms,
                    uint64_t commits);
void deletions_clear(struct deletions *deletions);

#endif
