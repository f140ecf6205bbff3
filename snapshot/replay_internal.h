/* Between replay.c (a record, section by section), replay_database.c (runs) and replay_files.c (the tree). */
#ifndef SNAPSHOT_REPLAY_INTERNAL_H
#define SNAPSHOT_REPLAY_INTERNAL_H

#include "snapshot/apply.h"
#include "snapshot/overlay.h"
#include "snapshot/page_advice.h"
#include "snapshot/replay.h"

/* A database, the gone ones too: that it was known tells a later incarnation from one that the base had
 * forgotten. */
struct replay_database {
    struct manifest_database state; /* owns the path */
    struct apply_target target;     /* owns the fd; -1: nothing is written */
    uint8_t *asked;                 /* a bit for each page that the disk was told of; NULL: none */
    uint64_t asked_bits;
    bool gone;
    bool touched; /* by this record */
};

/* The part that holds a record's bulk, fetched when the first run needs it. */
struct replay_bulk {
    struct data_bulk *list; /* of this record */
    size_t count;
    struct buf bytes; /* of one of them; empty: none */
    size_t here;
};

/* Where reading ahead has got to in a record. */
struct replay_ahead {
    struct data_reader *reader; /* NULL: through */
    struct data_run run;        /* of which the pages before `at` are done */
    uint32_t at;
};

struct replay {
    struct replay_config config;
    uint64_t files_at;                 /* the record that the files of the base stand at */
    struct replay_database *databases; /* ascending by path */
    size_t databases_count;
    struct overlay *files;
    bool has_unlisted_parents; /* something lies, or lay, in a directory that has no entry */
    struct {
        char *path;
        char *why;
    } * missing; /* files of the base that lack a blob */
    size_t missing_count;
    struct apply *apply;
    struct codec *codec;
    struct page_advice *advice; /* NULL: without a place */
    uint64_t expected;          /* the last record of whose pages the disk was told */
    struct replay_ahead ahead;
    struct replay_bulk bulk;
    const struct record_header *record; /* under way */
    uint64_t objects;
};

/* Has the pages that the record's runs need read ahead. The record stays until replay_end_ahead(). */
void replay_read_ahead(struct replay *replay, const struct record *record);
/* Before each run: has a thread read the next of them, if it is done with those before. */
void replay_read_more(struct replay *replay);
void replay_end_ahead(struct replay_ahead *ahead);

/* The database of that path, if one is there now. */
struct replay_database *replay_live_database(struct replay *replay, const char *path);
bool replay_run(struct replay *replay, const struct data_run *run, struct err *err) CHECKED;
bool replay_database_gone(struct replay *replay, const struct data_database_gone *gone,
                          struct err *err) CHECKED;
bool replay_attributes(struct replay *replay, const struct data_attributes *attributes,
                       struct err *err) CHECKED;
/* Takes a database away, because something else has its path now. */
bool replay_drop_database(struct replay *replay, struct replay_database *database, struct err *err) CHECKED;
/* At the end of a record: what it named is proved, and stands at it. */
bool replay_end_databases(struct replay *replay, struct err *err) CHECKED;

bool replay_put(struct replay *replay, const struct data_put *put, struct err *err) CHECKED;
bool replay_gone(struct replay *replay, const char *path, struct err *err) CHECKED;
/* Makes room at the path, for something that is no directory. */
bool replay_clear_path(struct replay *replay, const char *path, struct err *err) CHECKED;
/* Takes away what was written at the path. */
bool replay_unplace(struct replay *replay, const char *path, struct err *err) CHECKED;
/* Whether the base has something in a directory without an entry. */
bool replay_find_unlisted_parents(struct replay *replay);
/* Takes away what is above the path of a new database and no directory: a record tells of its files after its
 * runs, and the directory may come with a later one. */
bool replay_clear_way(struct replay *replay, const char *path, struct err *err) CHECKED;
/* Everything that was put and not written yet. */
bool replay_write_files(struct replay *replay, struct err *err) CHECKED;

#endif
