/* Random changes of a directory in which databases come and go: like tumult.h, with side files, names that
 * are excluded, directories that leave and come back, and several at once. */
#ifndef TESTS_DOUBLE_UPHEAVAL_H
#define TESTS_DOUBLE_UPHEAVAL_H

#include <stdbool.h>
#include <stdint.h>

struct upheaval {
    int disk;
    int outside; /* a directory on the same file system */
    bool links;  /* of odd seeds: hard links, and no databases: one that shares its inode with a file that is
                    none, since it has a journal, is seen in passing only */
    uint64_t random;
};

void upheaval_begin(struct upheaval *upheaval, int disk, int outside, unsigned seed);
/* Tries so many operations; some are impossible where they are tried. Several threads may do so at once, each
 * with one of its own. */
void upheaval_go_on(struct upheaval *upheaval, unsigned operations);

#endif
