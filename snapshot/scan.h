/* Looking at the data directory: which files are there, and which of them are databases.
 *
 * Every file is opened O_PATH first, compared with the table of attached databases, and only then read:
 * closing any descriptor of an attached inode, through a hard link too, would drop SQLite's POSIX locks in
 * this process (facts/wal.md 10 and fcntl(2)). So scanning and attaching are the work of one thread, or take
 * turns. */
#ifndef SNAPSHOT_SCAN_H
#define SNAPSHOT_SCAN_H

#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/globs.h"
#include "snapshot/touched.h"
#include "snapshot/tree.h"

#include <sys/stat.h>

/* A file that is a database by content and may be treated as one, or may not and has something in its log or
 * journal. */
struct scan_database {
    char *path;
    uint64_t device;
    uint64_t inode;
    bool is_plain; /* may not: it is in the tree, without what is in there */
};

struct scan_result {
    struct tree *tree; /* everything but databases, the -wal, -shm and -journal of whatever is SQLite's by
                          content, excluded paths, sockets, fifos and devices; CONTENT_NONE throughout */
    struct scan_database *databases; /* ascending path; an attached inode once for each of its names */
    size_t databases_count;
    size_t skipped; /* sockets, fifos, devices */
    char skipped_example[256];
    char orphan_wal[256]; /* matches HOLDFAST_DATABASES, has a -wal beside it and is neither empty nor a
                             database by content (encrypted, perhaps): to be named in one warning; "": none */
};

/* Asked before a file is opened for reading: is it attached by this process? */
typedef bool scan_is_attached(void *context, uint64_t device, uint64_t inode);

/* Asked of a file that begins with SQLite's magic and has neither a log nor a journal with something in it:
 * is it known, as it is, to be no database? */
typedef bool scan_is_no_database(void *context, const char *path, const struct stat *status);

/* What is scanned and how. All borrowed for the call. */
struct scan_options {
    const struct globs *exclude;
    const struct globs *databases;
    struct tree *before;                 /* of the last scan; NULL: none */
    scan_is_attached *is_attached;       /* NULL: nothing is attached */
    scan_is_no_database *is_no_database; /* NULL: nothing of that is known */
    void *context;
};

/* Walks everything below directory_fd but .holdfast and lost+found at the top, without following symlinks;
 * hard links become entries of their own. What vanishes meanwhile is simply absent. Files that match
 * `databases`, are writable by us and begin with SQLite's magic are databases (an attached one is one without
 * being opened), but for those that are known to be none. Content is read only for that, 16 bytes, and only
 * of files that have a side file's name beside them, or whose size is one that a database can have and whose
 * inode, size or ctime differ from `before`.
 *
 * ERR_DENIED with the path for what may not be read: it can't be protected, and leaving it out silently would
 * promise too much. ERR_CONFIG for a path longer than TREE_PATH_MAX. The remedy of both is HOLDFAST_EXCLUDE.
 */
bool scan_directory(int directory_fd, const struct scan_options *options, struct scan_result *ret_result,
                    struct err *err) CHECKED;

/* What is known of the directory. All borrowed. */
struct scan_known {
    const struct scan_database *databases; /* of the last scan */
    size_t databases_count;
    /* Everything that has happened since `before` of the options was what a scan had found, and perhaps more.
     * A name stands for itself, for the side files that it may have or be, and for other names of its file.
     */
    const struct touched *touched;
};

/* The same result, but that `skipped` and what else is only warned of tell of the new alone; looking only at
 * what was touched, in a time that hardly depends on how many files there are (scan_touched.c).
 *
 * Errors as above. ERR_TRANSIENT: a directory isn't where it was touched, and no word of that has come yet;
 * take what was touched since, or look at everything. */
bool scan_touched(int directory_fd, const struct scan_options *options, const struct scan_known *known,
                  struct scan_result *ret_result, struct err *err) CHECKED;
void scan_result_clear(struct scan_result *result); /* zeroed memory is fine */

/* .holdfast is ours, lost+found the file system's: never scanned, watched or restored. `path` is relative to
 * the data directory; true for what is below them as well. */
bool scan_is_reserved(const char *path);

enum { SCAN_MAGIC_SIZE = 16 };

/* Whether a file that begins so is a database by content (SQLite's magic). */
bool scan_has_magic(const uint8_t begin[SCAN_MAGIC_SIZE]);
/* The same of a file that is open. */
bool scan_is_database(int fd);

/* The same of the regular file at the path, which is only opened if it is not attached; that is one as well.
 */
bool scan_begins_like_database(int directory_fd, const char *path);

/* Whether the file, which is open, has pages of a first transaction that is not committed: SQLite writes the
 * first page, with its magic, last, and has a journal beside the file until then, which makes it empty again.
 */
bool scan_is_unborn(int directory_fd, const char *path, int fd);
/* The same of a regular file that is held by O_PATH. */
bool scan_is_unborn_at(int directory_fd, const char *path, int path_fd);

/* Length of the path without -wal, -shm or -journal; 0 if it has none of these. */
size_t scan_stem_length(const char *path);
/* The path without it, for the caller to free; NULL if it has none. */
char *scan_stem(const char *path);
/* The path of the file in the tree, which is in order, that the entry would be a side file of; NULL: none. */
const char *scan_stem_in(struct tree *tree, const struct tree_entry *entry);
enum { SCAN_SUFFIXES = 3 };
extern const char *const scan_suffixes[SCAN_SUFFIXES];

static inline void scan_result_clearp(struct scan_result *result)
{
    scan_result_clear(result);
}

#endif
