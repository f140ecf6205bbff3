/* A data directory whose changes go into records, one after the other, and a replica that follows them. */
#ifndef TESTS_DOUBLE_CHANGING_H
#define TESTS_DOUBLE_CHANGING_H

#include "snapshot/changes.h"
#include "tests/double/scratch.h"

struct changing {
    struct store *mem;
    struct store *faulty; /* over mem; what the changes are written to */
    struct pool *pool;
    struct scratch disk;
    struct scratch copy;
    struct pending *pending;
    struct tree *previous; /* of the newest record */
    struct deletions deletions;
    struct deletion_moment moment; /* of the next look; without databases a minute is enough */
    bool final;                    /* no deletion waits */
    const struct base_database *databases;
    size_t databases_count;
    const struct globs *database_names; /* as in struct changes_request */
    size_t body_max;
    uint64_t position;      /* of the newest record */
    struct changes changes; /* of the newest record */
};

/* Deletions don't wait unless `final` is set to false. */
void changing_open(struct changing *changing);
void changing_close(struct changing *changing);

struct tree *changing_look(struct changing *changing);
/* Makes a record of what was seen (taken), or of what is there now; the replica follows. */
bool changing_ship_seen(struct changing *changing, struct tree *now, struct err *err);
bool changing_ship(struct changing *changing, struct err *err);
/* The replica is what is on the disk, and the tree says so. */
bool changing_is_equal(struct changing *changing);

#define SHIP(changing)                                       \
    do {                                                     \
        struct err err_;                                     \
        REQUIRE_OK(changing_ship((changing), &err_), &err_); \
    } while (0)

#endif
