/* A directory that follows the file sections of data records, done by hand and not by the product's restore:
 * the oracle for what changes_collect() writes. */
#ifndef TESTS_DOUBLE_REPLICA_H
#define TESTS_DOUBLE_REPLICA_H

#include "snapshot/store/store.h"
#include "snapshot/tree.h"

#include <stdbool.h>
#include <stddef.h>

/* Carries out the sections; blobs come from the store. False, after printing why, if they make no sense where
 * they meet: a put below a file, a gone of nothing, a blob that is not there. */
bool replica_apply(int directory_fd, struct store *store, const void *sections, size_t size);

/* Whether everything in `wanted_fd` is in `found_fd` the same: kinds, modes, times of files and symlinks,
 * targets and contents; .holdfast apart. What is only in found_fd is for is_extra to judge; NULL: nothing may
 * be. Prints the first difference. */
bool replica_equals(int found_fd, int wanted_fd, bool (*is_extra)(void *context, const char *path),
                    void *context);

/* Whether the tree lists exactly what is in the directory, sizes and times included. Prints the first
 * difference. */
bool replica_is_listed(int directory_fd, struct tree *tree);

#endif
