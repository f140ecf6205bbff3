/* New files, kept from vanishing before they are read.
 *
 * The databases' state may name a file that is unlinked, or replaced by rename, before its content is in the
 * store; the state could never be published without it (protocol.md, H10). So a file is linked into
 * .holdfast/pending/ when it is first seen, and read from there. Where link(2) fails an open descriptor does
 * the same. Empty files need nothing; whatever is attached as a database is neither linked nor opened
 * (guarded_file.h). One thread calls all of this, but pending_read() any thread meanwhile. */
#ifndef SNAPSHOT_PENDING_H
#define SNAPSHOT_PENDING_H

#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/tree.h"

struct pending;

/* Removes what an earlier process has left. directory_fd: the data directory, borrowed. */
bool pending_open(int directory_fd, struct pending **ret_pending, struct err *err) CHECKED;
/* Removes the links. NULL is fine. */
void pending_free(struct pending *pending);
DEFINE_CLEANUP(struct pending *, pending_free, pending_freep)

/* Holds the files of `now`, a fresh scan, that are new since `previous` (NULL: none) or another file than
 * there, by inode. What is held stays held. One that can't be held, for there are too many that can't be
 * linked, is read from its path like any other. */
void pending_hold(struct pending *pending, struct tree *now, struct tree *previous);

/* What `previous` would be if all that is held had been shipped; NULL: the same. For deletions_hold(): a file
 * that was seen and has vanished since, without ever having been shipped, has to stay like any other. */
struct tree *pending_with_vanished(struct pending *pending, struct tree *now, struct tree *previous);

/* Gives up what is not in `now`: it need not be shipped any more. */
void pending_forget(struct pending *pending, struct tree *now);

bool pending_has(const struct pending *pending, const char *path);
size_t pending_count(const struct pending *pending);

/* Opens the file for reading: what is held, else what is at the path. ERR_NOT_FOUND: neither; ERR_CONFLICT:
 * it is attached. Close with guarded_file_close(). context: the struct pending; entry is not used
 * (file_read.h). */
bool pending_read(void *context, size_t entry, const char *path, int *ret_fd, struct err *err) CHECKED;

/* Gives up what `tree` holds by the same inode: what was shipped, and is safe. A link that goes touches the
 * file's ctime, so the entry's is mended; or what was shipped would look changed for ever. */
void pending_settle(struct pending *pending, struct tree *tree);

#endif
