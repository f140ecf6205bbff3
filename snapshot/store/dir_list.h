/* Listing a directory store. */
#ifndef SNAPSHOT_STORE_DIR_LIST_H
#define SNAPSHOT_STORE_DIR_LIST_H

#include "snapshot/store/store.h"

/* store_ops.list() for the tree below root_fd. */
bool dir_list(int root_fd, const char *prefix, const char *after, size_t limit, store_visitor *visit,
              void *context, struct err *err) CHECKED;

#endif
