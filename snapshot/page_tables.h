/* The page hashes of all databases of the data directory, as they stand in the newest record that changed
 * data: what a start on a disk that holds more than was shipped compares with, to ship what differs and
 * nothing else (docs/DESIGN.md, A disk that holds more).
 *
 * All of it is a hint. Nothing is synced, and whatever fails costs the tables and nothing else: then a base
 * takes the place of the difference. They are believed only if all of them are of the right size and XOR to
 * the rolling hashes that the log says of that record; no date, name or state file makes them right. The
 * engine's thread. */
#ifndef SNAPSHOT_PAGE_TABLES_H
#define SNAPSHOT_PAGE_TABLES_H

#include "snapshot/manifest.h"
#include "snapshot/page_journal.h"

struct page_tables {
    int directory_fd; /* borrowed */
    bool work;        /* they are there, and follow what is shipped */
    bool waits;       /* the journal says something that they haven't followed yet */
    bool warned;
    void (*warn)(void *context, const char *text); /* that there are none any more, once */
    void *warn_context;
    struct page_journal journal;
};

/* None work before page_tables_load() or page_tables_replace(). */
void page_tables_init(struct page_tables *tables, int directory_fd,
                      void (*warn)(void *context, const char *text), void *warn_context);
void page_tables_clear(struct page_tables *tables); /* leaves the files */

/* Has the restore that follows learn the page hashes of all databases of the manifest. */
void page_tables_expect(struct manifest *manifest);
/* There are none from here on. */
void page_tables_drop(struct page_tables *tables);
/* Takes what lies there, if it is `state`, to which the record at data_position was the newest to change
 * anything, and nothing else; else drops it. */
void page_tables_load(struct page_tables *tables, const struct manifest *state, uint64_t data_position);
/* Replaces them by the hashes that `state` has, which are taken from it and freed; drops them if it has not
 * all of them, or others than its rolling hashes tell. */
void page_tables_replace(struct page_tables *tables, struct manifest *state);

/* A database begins, or is gone, with the record that is built next, or with one before. */
void page_tables_add(struct page_tables *tables, const char *path, uint64_t incarnation);
void page_tables_remove(struct page_tables *tables, const char *path, uint64_t incarnation);

/* The journal of the record at this position, which is about to be built; NULL if no tables work. */
struct page_journal *page_tables_begin(struct page_tables *tables, uint64_t position);
/* Before that record is sent. */
void page_tables_seal(struct page_tables *tables);
/* It is confirmed: the tables follow what was added to the journal, if anything was. */
void page_tables_commit(struct page_tables *tables);

/* The table of one database, for reading; they work. */
bool page_tables_open(const struct page_tables *tables, const struct manifest_database *database, int *ret_fd,
                      struct err *err) CHECKED;

#endif
