/* Between restore.c (which unit next, how much at once), restore_unit.c (one unit: fetch, verify, decode,
 * write) and restore_end.c (what it ends with). */
#ifndef SNAPSHOT_RESTORE_INTERNAL_H
#define SNAPSHOT_RESTORE_INTERNAL_H

#include "base/thread.h"
#include "snapshot/codec.h"
#include "snapshot/restore.h"

struct database_job {
    int fd;
    atomic_bool is_direct;   /* fd goes past the page cache */
    pthread_mutex_t writing; /* by way of the page cache */
    _Atomic uint64_t rolling_hash;
};

/* A large file under way. */
struct file_job {
    size_t entry;
    uint32_t next_piece;
    uint32_t left;
    int fd;
};

/* Room for one decoded frame. A restore has a few of them, and uses them again: memory that is taken anew for
 * each part costs a page fault for every 4 KiB of the database. */
struct frame_room {
    _Alignas(PLACE_DIRECT_ALIGNMENT) uint8_t raw[FRAME_RAW_BYTES];
    struct frame_room *next;
};

/* A file of which a blob is absent. */
struct restore_missing {
    size_t entry;
    char *why;
};

struct restore {
    struct store *store;
    const struct manifest *manifest;
    struct restore_kept kept;
    const struct restore_damage *damage;
    const atomic_bool *canceled;
    struct pool *pool;
    struct task_group group;
    struct database_job *databases;
    uint32_t *inline_entries; /* entries with inline content, by frame and offset */
    size_t inline_count;

    pthread_mutex_t
        mutex; /* guards everything below, and the calls of place that aren't place_write() or place_seal() */
    pthread_cond_t changed;
    struct place *place;
    bool released;
    bool stopped;
    uint64_t budget;
    struct frame_room *rooms; /* those that nobody uses */
    size_t next_part;
    size_t next_entry;
    struct file_job *file; /* the file whose pieces are being handed out */
    bool damaged;
    bool goes_on;         /* restore_expect_more() */
    uint64_t direct_from; /* bytes of a database */
    struct restore_missing *missing;
    size_t missing_count;

    _Atomic uint64_t done_bytes;
    _Atomic uint64_t objects;
    uint64_t total_bytes;
};

enum unit_kind { UNIT_NONE, UNIT_PART, UNIT_PIECE };

struct unit {
    enum unit_kind kind;
    size_t part;
    struct file_job *job;
    uint32_t piece;
};

/* Whether this disk has it already. */
static inline bool restore_keeps_entry(const struct restore *restore, size_t entry)
{
    return restore->kept.entries && restore->kept.entries[entry];
}

static inline bool restore_keeps_database(const struct restore *restore, size_t database)
{
    return restore->kept.databases && restore->kept.databases[database];
}

/* Damage that is only reported doesn't end a verification. */
bool restore_forgive(struct restore *restore, const struct err *err);

/* Notes that a blob of this entry is absent; the work goes on. True. */
bool restore_note_missing(struct restore *restore, size_t entry, const struct err *why);
void restore_clear_missing(struct restore *restore);

/* The database that a frame belongs to, or the count of databases for a frame of small files. */
size_t restore_database_of_frame(const struct manifest *manifest, uint32_t frame);

/* Waits for a room; whoever has one waits for nothing else. */
struct frame_room *restore_take_room(struct restore *restore);
void restore_give_room(struct restore *restore, struct frame_room *room);

/* Fetches one object, waits for the release, writes what it holds. Called by the fetchers, each with a codec
 * of its own. */
bool restore_part(struct restore *restore, size_t index, struct codec *codec, struct err *err) CHECKED;
bool restore_piece(struct restore *restore, const struct unit *unit, struct codec *codec,
                   struct err *err) CHECKED;

#endif
