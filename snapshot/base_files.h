/* The files of a base: small ones inline in parts, large ones as blobs that are uploaded once. Between base.c
 * and base_files.c. */
#ifndef SNAPSHOT_BASE_FILES_H
#define SNAPSHOT_BASE_FILES_H

#include "snapshot/base.h"
#include "snapshot/file_read.h"

/* Gives every file of result->manifest.tree its content: from the disk, or from the base before where it
 * moved while it was read. An entry that can't be had either way is dropped: it did not exist for the
 * databases' state. */
bool base_files_cut(struct base_request *request, struct base_result *result, struct err *err) CHECKED;

/* The two halves: entries above and up to TREE_INLINE_MAX. A file may change sides meanwhile: one that has
 * become small is left to the second half, one that has become large is cut there. */
bool base_large_files_cut(struct base_request *request, struct base_result *result, struct err *err) CHECKED;
bool base_small_files_cut(struct base_request *request, struct base_result *result, struct err *err) CHECKED;

/* Names the pieces that the base before has of it. */
void base_pieces_copy(const struct base_request *request, const struct tree_entry *previous,
                      struct file_pieces *pieces);

/* The file at path in the base before; NULL if there is none. */
struct tree_entry *base_previous_of(const struct base_request *request, const char *path);
/* Makes the entry what it was: its metadata too, which belong to that content. */
void base_take_previous(struct tree_entry *entry, const struct tree_entry *previous);

#endif
