/* What database_collect.c and database_commit.c share. Nobody else includes this. */
#ifndef SNAPSHOT_COLLECTOR_H
#define SNAPSHOT_COLLECTOR_H

#include "snapshot/database_internal.h"
#include "snapshot/page_map.h"
#include "snapshot/wal_reader.h"

enum { COLLECT_RUN_BYTES_MAX = 4 << 20 }; /* of the images of one run, and of the previous ones */

struct collector {
    struct database_sink sink;
    int database_fd; /* borrowed */
    int log_fd;      /* -1 until something is read */
    uint32_t page_size;

    /* All that has been handed over. */
    struct wal_position collected;
    uint32_t changes;        /* at least the counter that the wal-index had then */
    uint64_t position;       /* at most the one of database_position() */
    uint32_t pages;          /* of the database */
    uint64_t rolling_change; /* since the beginning */
    struct page_map map;     /* of this log: the newest collected frame of each page */

    uint64_t ns_per_frame; /* how fast it went the last time */
    bool may_restart;      /* the lock that we hold lets the log restart, once */

    struct wal_reader reader;
    struct buf images, previous; /* of one run */
    uint32_t numbers[DATABASE_RUN_PAGES_MAX];
    uint64_t hashes[DATABASE_RUN_PAGES_MAX]; /* of the images */
};

/* database_commit.c: hands over one commit, which the reader has just given, and takes it into what has been
 * collected, all but `collected` and `changes`. On failure nothing is taken in. */
bool collector_hand_over(struct collector *collector, const struct wal_commit *commit,
                         struct err *err) CHECKED;

#endif
