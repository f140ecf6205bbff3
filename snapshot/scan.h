/* Looking at the data directory: which files are there, and which of them are databases.
 *
 * Every file is opened O_PATH first, compared with the table of attached databases, and only then read:
 * closing any descriptor of an attached inode, through a hard link too, would drop SQLite's POSIX locks in
 * this process (facts/wal.md 10 and fcntl(2)). */
#ifndef SNAPSHOT_SCAN_H
#define SNAPSHOT_SCAN_H

#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/tree.h"

/* A list of globs as in HOLDFAST_EXCLUDE: colon-separated, relative to the data directory; a pattern without
 * a slash matches a name at any depth; a pattern that names a directory covers what is below it. `*` and `?`
 * don't match '/'; `**` does. Immutable; any thread. */
struct globs;
/* ERR_CONFIG for a pattern that can't match anything (empty component, "..", absolute). */
bool globs_parse(const char *text, struct globs **ret_globs, struct err *err) CHECKED;
void globs_free(struct globs *globs);
DEFINE_CLEANUP(struct globs *, globs_free, globs_freep)
bool globs_match(const struct globs *globs, const char *path);

/* A file that is a database by content and may be treated as one. */
struct scan_database {
    char *path;
    uint64_t device;
    uint64_t inode;
};

struct scan_result {
    struct tree *tree; /* everything but databases, their -wal, -shm and -journal, excluded paths, sockets,
                          fifos and devices */
    struct scan_database *databases; /* ascending path */
    size_t databases_count;
    size_t skipped; /* sockets, fifos, devices */
    char skipped_example[256];
    char orphan_wal[256]; /* a file with a -wal beside it that is no database by content: named in one
                             warning; empty: none */
};

/* Asked before a file is opened for reading: is it attached by this process? */
typedef bool scan_is_attached(void *context, uint64_t device, uint64_t inode);

/* Walks everything below directory_fd without following symlinks or crossing into .holdfast and lost+found at
 * the top. A path that vanishes meanwhile is simply absent. Files that match `databases`, are writable by us
 * and begin with SQLite's magic are databases (an attached one is one without being opened). Content is read
 * only for that (16 bytes), and only of files whose (inode, size, ctime) differ from `before` (a tree of the
 * last scan, may be NULL) or whose kind is unknown. */
bool scan_directory(int directory_fd, const struct globs *exclude, const struct globs *databases,
                    struct tree *before, scan_is_attached *is_attached, void *context,
                    struct scan_result *ret_result, struct err *err) CHECKED;
void scan_result_clear(struct scan_result *result);

#endif
