/* What this disk remembers of the log: .holdfast/state (docs/DESIGN.md, Local or remote at start).
 *
 * It is written before a record is sent and answers one question after a crash: does this directory hold what
 * the log says, and more? It is a hint that has to be proved (a mark in each database's WAL), never an
 * authority: the log is. No secret is in it. Owned by the engine's thread. */
#ifndef SNAPSHOT_STATE_H
#define SNAPSHOT_STATE_H

#include "snapshot/database.h"
#include "snapshot/gone.h"
#include "snapshot/record.h"

/* How far a restore onto this disk had come when the process ended. */
enum state_restoring {
    RESTORING_NOT,
    RESTORING_IN_PLACE, /* the directory was empty: what is there is ours and may be removed */
    RESTORING_ASIDE,    /* the old state goes to .holdfast/aside/<aside>/ */
};

struct state_database {
    char *path;
    struct database_mark mark;
};

/* The databases as they stood in one record that changed data. */
struct state_point {
    uint64_t position; /* 0: none */
    struct digest hash;
    struct state_database *databases;
    size_t databases_count;
};

struct state {
    struct id lineage;
    struct record_header
        confirmed; /* the newest confirmed record, whole: a warm start needs no GET of the head */
    struct digest confirmed_hash;
    bool answered; /* the backend of this directory has answered at least once */
    enum state_restoring restoring;
    char aside[64];
    struct state_point shipped; /* the newest confirmed record that changed data */
    struct state_point sending; /* the one that may have been sent */
    struct gone_list gone;      /* what either of them names and has left this disk since */
};

enum { STATE_SIZE_MAX = 4 << 20 };

void state_init(struct state *state);
void state_clear(struct state *state);
void state_point_clear(struct state_point *point);
/* The mark of the database at path; NULL if the point has none. */
struct database_mark *state_mark_of(const struct state_point *point, const char *path);

/* Reads .holdfast/state beneath directory_fd. ERR_NOT_FOUND: there is none. ERR_CORRUPT: it can't be read,
 * which counts as none that proves anything. */
bool state_load(int directory_fd, struct state *ret_state, struct err *err) CHECKED;
/* Replaces it durably. */
bool state_save(int directory_fd, const struct state *state, struct err *err) CHECKED;

/* The bytes of that file. */
void state_encode(const struct state *state, struct buf *bytes);
/* ERR_CORRUPT. */
bool state_decode(const uint8_t *bytes, size_t size, struct state *ret_state, struct err *err) CHECKED;

/* Makes .holdfast/, unless it is there (*ret_made), and takes its lock for the life of the descriptor.
 * ERR_CONFIG if another process holds it or the directory can't be written. */
bool state_lock(int directory_fd, bool *ret_made, int *ret_lock_fd, struct err *err) CHECKED;
/* Removes .holdfast/ again, while it is locked; with a state file in it, it stays. */
void state_remove_folder(int directory_fd);

#endif
