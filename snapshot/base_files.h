/* The files of a base: small ones inline in parts, large ones as blobs that are uploaded once. Between base.c
 * and base_files.c. */
#ifndef SNAPSHOT_BASE_FILES_H
#define SNAPSHOT_BASE_FILES_H

#include "snapshot/base.h"

/* Gives every file of result->manifest.tree its content: from the disk, or from the base before where it
 * moved while it was read. An entry that can't be had either way is dropped: it did not exist for the
 * databases' state. */
bool base_files_cut(struct base_request *request, struct base_result *result, struct err *err) CHECKED;

#endif
