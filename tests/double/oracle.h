/* A sink that knows better: it keeps a copy of the database in memory, taken where collecting begins, applies
 * each run to it, and checks whatever a run says against that copy, each previous image before it applies
 * anything. A wrong run ends the collecting with ERR_CORRUPT and is printed. */
#ifndef TESTS_DOUBLE_ORACLE_H
#define TESTS_DOUBLE_ORACLE_H

#include "snapshot/database.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oracle {
    struct database *database;
    uint32_t page_size;
    uint32_t pages;
    uint8_t *bytes; /* of the database after the last whole commit */
    size_t capacity;
    uint64_t begun; /* its rolling hash where collecting began */
    uint64_t now;   /* and after the last whole commit */

    bool is_full;            /* refuses everything, with ERR_TRANSIENT as a full spool does */
    unsigned refuse_in;      /* refuses the so-manieth run from now, once, with ERR_SYSTEM; 0: never */
    unsigned slow_us;        /* takes so long for each run */
    unsigned refused;        /* so far */
    unsigned commits;        /* taken whole */
    unsigned runs;           /* taken, of whole commits or not */
    unsigned runs_max;       /* of one commit */
    unsigned shrunk;         /* commits after which the database was smaller */
    unsigned held_pages_max; /* of one run */

    /* The commit of which the last run is awaited. */
    uint8_t *staged;
    uint32_t *staged_pages;
    size_t staged_count;
    unsigned staged_runs;
    uint64_t staged_change;
    uint32_t staged_after;
    bool is_staged;
};

/* Copies the frozen database and begins to collect. Prints what went wrong if false. */
bool oracle_begin(struct oracle *oracle, struct database *database);
/* Ends collecting and frees the copy. */
void oracle_end(struct oracle *oracle);
/* Whether a frozen database is, byte for byte, the copy, and its rolling hash, computed anew, what the runs
 * have said. Prints what differs. */
bool oracle_agrees(struct oracle *oracle);
/* Freezes, asks the same, thaws. */
bool oracle_agrees_now(struct oracle *oracle);

#endif
