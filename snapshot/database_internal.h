/* What the files of the database module share. Nobody else includes this. */
#ifndef SNAPSHOT_DATABASE_INTERNAL_H
#define SNAPSHOT_DATABASE_INTERNAL_H

#include "base/thread.h"
#include "snapshot/database.h"
#include "snapshot/guarded_file.h"
#include "snapshot/page_map.h"
#include "snapshot/sqlite.h"
#include "snapshot/wal_index.h"

enum {
    CHECKPOINT_FRAMES = 800,  /* before the application's own 1000, so that it never pays for a checkpoint */
    LOG_BYTES_HARD = 6 << 20, /* above so much of frames, and only then, tending takes the write lock */
    LOG_BYTES_MAX = 32 << 20, /* a longer -wal file is cut when nothing in it is needed */
    WRITE_LOCK_MAX_MS = 20,   /* is waited for */
    TORN_US = 5000,           /* a wal-index torn for longer has lost its writer */
};

/* Two connections take turns in holding the mark: the one that does not is free to take the next one, or to
 * checkpoint. The writer takes the write lock, rarely. The anchor holds READ(0) by hand and runs no SQL after
 * its first read. */
struct database {
    char *path;
    char *log_path;                   /* path-wal */
    char *index_path;                 /* path-shm */
    struct guarded_claim claim;       /* the database file */
    struct guarded_claim index_claim; /* the -shm file */
    struct stat log_status;           /* the -wal file, which has no locks */
    /* For reading and for asking about locks; closed after the connections, since closing drops their locks.
     */
    int fd;
    int index_fd;

    struct sqlite *turns[2];
    unsigned holder; /* which of the two has the mark */
    struct sqlite *writer;
    struct sqlite *anchor;
    const uint32_t *index; /* the mapped wal-index */

    bool has_mark;
    bool has_write;
    bool has_file;                    /* READ(0) */
    struct wal_index_header marked;   /* has_mark: as it was just before the mark was taken */
    struct wal_index_header anchored; /* has_file: the header whose state the file holds; frozen at a mark:
                                         the one whose state is frozen */

    struct collector *collector; /* NULL: nothing is collected */

    uint64_t rushed_until_ms; /* so much was in the log that the next tending is due soon */
    bool is_frozen;
    struct database_frozen frozen;
    struct frozen_log *frozen_log; /* frozen at a mark: what is in the log of it; NULL: the file is all */
    struct database_mark mark;
    unsigned contested_looks; /* in a row that found the application waiting for us to go */
    uint64_t contested_ms;    /* when the first of them was */

    pthread_mutex_t position_mutex; /* guards what is below */
    uint64_t position;
    struct wal_index_header seen;  /* at the last look that found one */
    bool is_torn;                  /* the last look found none */
    struct wal_index_header given; /* last given together with a position */
    uint64_t given_position;       /* 0: none was */
};

/* database_hold.c: the only functions that take and release locks. Each keeps the invariant of the module at
 * every instant, failed or not: where one fails, what was held before is still held. */

/* Reads the wal-index, and repairs it if its writer died in the middle. */
bool database_look(struct database *database, struct wal_index *ret_index, struct err *err) CHECKED;
/* Takes the first lock. ERR_TRANSIENT: the application checkpoints. */
bool database_hold_first(struct database *database, struct err *err) CHECKED;
/* Takes a mark at what is committed now and, when all that is collected, lets go of the one before. */
bool database_hold_mark(struct database *database, struct err *err) CHECKED;
/* Gives up the mark, which is not the last lock. Fine without one. */
void database_drop_mark(struct database *database);
/* Takes READ(0) if the file holds everything that is committed; ERR_TRANSIENT if not. The mark stays. */
bool database_hold_file(struct database *database, struct err *err) CHECKED;
/* Gives up READ(0), which is not the last lock. Fine without it. */
void database_drop_file(struct database *database);
/* Whether the file under READ(0) still is the whole state. Takes over the header of a log that was only
 * restarted. */
bool database_is_anchored(struct database *database, const struct wal_index *index);
/* Takes the write lock, from when on nobody can commit: never for long. Tries until give_up_ms, and then it
 * is ERR_TRANSIENT. */
bool database_hold_write(struct database *database, uint64_t give_up_ms, struct err *err) CHECKED;
void database_drop_write(struct database *database);
/* Copies all that is marked from the log into the file. ERR_TRANSIENT: the application reads an older state
 * or checkpoints itself; the write lock would not help. */
bool database_checkpoint(struct database *database, struct err *err) CHECKED;
/* Makes the -wal file empty, in HANDOFF; ERR_TRANSIENT if something was committed. */
bool database_truncate_log(struct database *database, struct err *err) CHECKED;
/* HANDOFF → TAIL, once something was committed. */
bool database_leave_file(struct database *database, struct err *err) CHECKED;
/* Gives up everything, before closing. */
void database_drop_all(struct database *database);

/* database_position.c */

/* Once, when the wal-index is mapped. */
void database_position_begin(struct database *database);
/* The position that database_position_at() gave with this header, if it was the last one it gave; else 0. */
uint64_t database_position_given(struct database *database, const struct wal_index_header *header);

/* database_collect.c, for the functions that move locks. Without a sink all of them succeed at once. */

/* Under a new mark as well as the lock before: hands over all that is committed now. */
bool database_collect_for_mark(struct database *database, struct err *err) CHECKED;
/* Under READ(0), with the whole state in the file and this header: the same. */
bool database_collect_for_file(struct database *database, const struct wal_index_header *header,
                               struct err *err) CHECKED;
/* Before the write lock is taken: hands over what is committed until little is left. ERR_TRANSIENT: the
 * application commits faster than that. */
bool database_collect_ahead(struct database *database, struct err *err) CHECKED;
/* Under the write lock: whether what is left is little, so that the application need not wait for long.
 * ERR_TRANSIENT if not. */
bool database_collect_is_near(struct database *database, struct err *err) CHECKED;
/* Whether all up to a header that was seen under a lock of ours has been handed over. */
bool database_has_collected(const struct database *database, const struct wal_index_header *header);

/* database_frozen.c, once `anchored` is what is to be frozen, and kept by READ(0) or else by a mark: makes it
 * readable. ERR_CORRUPT: the log or the file isn't what it says. */
bool database_frozen_begin(struct database *database, struct err *err) CHECKED;
/* Fine without the former. */
void database_frozen_end(struct database *database);
/* What of the frozen state is in the log and may not be in the file; the caller clears it. */
void database_frozen_map(const struct database *database, struct page_map *ret_map);

/* database_mark.c: notes what has just been frozen. */
void database_mark_set(struct database *database);

enum database_kind {
    DATABASE_NONE,
    DATABASE_EMPTY,    /* no byte yet: may become one */
    DATABASE_ROLLBACK, /* a database not in WAL mode */
    DATABASE_WAL,
};

/* database_convert.c: what an open file is by its content (SQLite's magic, a possible header, at least one
 * page), and the page size that a database file says (0: none that exists). */
bool database_kind_of(int fd, enum database_kind *ret_kind, struct err *err) CHECKED;
bool database_page_size(int fd, uint32_t *ret_page_size, struct err *err) CHECKED;

/* database.c: waits for delay_us; canceled may be NULL. ERR_CANCELED, or *err as it is (what was waited for)
 * after the deadline. */
bool database_pause(uint64_t delay_us, uint64_t deadline_ms, const atomic_bool *canceled,
                    struct err *err) CHECKED;

#endif
