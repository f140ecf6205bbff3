/* What the record in flight makes of the tables of page hashes: written before it is sent, so that after a
 * crash the tables can follow a record that turns out to have landed (page_tables.h).
 *
 * One file, written over the one of the record before, which the tables have followed by then. It says which
 * record it is of, and hashes over all of it tell whether it is whole. Never synced. One thread. */
#ifndef SNAPSHOT_PAGE_JOURNAL_H
#define SNAPSHOT_PAGE_JOURNAL_H

#include "snapshot/data_body.h"
#include "snapshot/page_table.h"

#define PAGE_JOURNAL_PATH PAGE_TABLES_FOLDER "/journal"

/* One that is being written; all zero: none. */
struct page_journal {
    int directory_fd; /* borrowed */
    uint64_t position;
    bool is_open;
    int fd;
    uint64_t written; /* bytes */
    uint64_t chain;
    struct buf waiting;
    bool failed;
    struct err why;
};

/* Begins one of the record at this position. No file is touched before something is added. */
void page_journal_begin(struct page_journal *journal, int directory_fd, uint64_t position);
/* The run's pages, and the hash of each as it leaves it. What fails is told in the end. */
void page_journal_add(struct page_journal *journal, const struct data_run *run, const uint64_t *hashes);
/* It is whole, or nothing was added. After a failure it is of no use. Begin comes before anything else. */
bool page_journal_end(struct page_journal *journal, struct err *err) CHECKED;
/* Frees what one has that was begun; fine for one that wasn't, or that was ended. */
void page_journal_clear(struct page_journal *journal);

/* What one run has made of one database. */
struct page_journal_run {
    char database[TREE_PATH_MAX + 1];
    uint64_t incarnation;
    uint32_t pages_after; /* of the database */
    uint32_t count;
    uint32_t pages[DELTA_PAGES_MAX]; /* ascending */
    uint64_t hashes[DELTA_PAGES_MAX];
};

struct page_journal_visitor {
    bool (*take)(void *context, const struct page_journal_run *run, struct err *err); /* may be NULL */
    void *context;
};

/* Reads the one that lies there, run by run in their order, and says which record it is of. Runs are handed
 * over before it is known that all of it is whole. ERR_NOT_FOUND: there is none. ERR_CORRUPT: it is torn, or
 * damaged. */
bool page_journal_read(int directory_fd, const struct page_journal_visitor *visitor, uint64_t *ret_position,
                       struct err *err) CHECKED;

#endif
