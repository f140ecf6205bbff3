/* A watched directory and what looking at what was touched has found there, against which a whole scan is
 * held. */
#ifndef TESTS_DOUBLE_LOOKING_H
#define TESTS_DOUBLE_LOOKING_H

#include "snapshot/scan.h"
#include "snapshot/watch.h"
#include "tests/double/scratch.h"

struct looking {
    struct scratch disk;
    struct globs *exclude;
    struct globs *databases;
    struct watch *watch;
    struct scan_result found; /* by the newest look */
    struct touched touched;   /* in it */
    unsigned wholes;          /* looks at everything, the first apart */
};

void looking_open(struct looking *looking, const char *exclude, const char *databases);
void looking_close(struct looking *looking);

/* Looks at what was touched since the look before. Prints what went wrong if false. */
bool looking_look(struct looking *looking);
/* Whether a whole scan finds the same; prints the first difference. */
bool looking_is_right(struct looking *looking);
/* The same of two trees, as far as it matters: not the times of directories, nor the ctime of a file, which
 * moves with its link count. */
bool looking_compare(struct tree *found, struct tree *there);

#endif
