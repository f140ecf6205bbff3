/* A log of data records over a base, with an oracle: what the data directory held after each of them.
 *
 * Databases are pages of bytes (nothing here asks SQLite), files are of all kinds; both change by chance,
 * from a seed. The log lies in a store in memory. */
#ifndef TESTS_DOUBLE_STORY_H
#define TESTS_DOUBLE_STORY_H

#include "snapshot/data_body.h"
#include "snapshot/manifest.h"
#include "tests/double/history.h"

enum { STORY_DATABASES = 3, STORY_FILES = 12 };

struct story_database {
    uint64_t incarnation; /* 0: it is not there */
    uint32_t page_size;
    uint32_t pages;
    uint8_t *bytes;
};

struct story_file {
    enum entry_kind kind; /* 0: it is not there */
    uint32_t mode;
    int64_t mtime_ns;
    uint8_t *bytes; /* a file's content, a symlink's target */
    size_t size;
    struct tree_piece *pieces; /* of a large file */
    uint32_t pieces_count;
};

/* All that is in the data directory. The paths are fixed: story_database_path(), story_file_path(). */
struct story_state {
    struct story_database databases[STORY_DATABASES];
    struct story_file files[STORY_FILES];
};

struct story {
    struct history history;
    uint64_t random;
    struct codec *codec;
    struct story_state now;
    struct story_state after[HISTORY_MAX + 1]; /* by position */
    uint64_t next_n;
    uint64_t base; /* the newest base record */
    bool in_bulk;  /* the next records have their frames in bulk */
};

/* An open record, a random state, and a base that restarts it. */
void story_begin(struct story *story, uint64_t seed);
void story_end(struct story *story);

/* Appends a data record of random changes. */
void story_step(struct story *story);
/* Appends a record that changes nothing. */
void story_idle(struct story *story, enum record_kind kind);
/* Appends a base of the state at `position`, with the databases as they were up to `lag` records before. */
void story_cut(struct story *story, uint64_t position, uint64_t lag, bool restarts);
/* A story of four chapters: bases that repeat what the log says, with databases that lag, one that restarts
 * it, and records between. */
void story_tell(struct story *story, uint64_t seed);
/* Deletes the blobs that no state from `horizon` on names, and says so in the records' headers: `horizon` is
 * a base record. */
void story_forget_blobs(struct story *story, uint64_t horizon);
/* Begins a data record that a test composes itself, and appends it. */
struct buf story_body(void);
uint64_t story_append(struct story *story, struct buf *body);
/* For such a record: a commit of page 1 to a database at `path` that is otherwise as the first one. The delta
 * is the caller's frame, which the run points into. */
struct data_run story_run_of(const struct story *story, const char *path, const struct buf *frame);

/* The manifest of the newest base, as read back. */
struct manifest story_manifest(struct story *story, uint64_t announced);

const char *story_database_path(int database);
const char *story_file_path(int file);

/* Whether a directory holds exactly the state after record `position`; a line for what differs. */
bool story_matches(struct story *story, uint64_t position, int directory_fd);
/* Whether a manifest says exactly that state. */
bool story_describes(struct story *story, uint64_t position, struct manifest *manifest);

#endif
