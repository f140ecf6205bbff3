/* The hashes of all pages of one database as they were shipped, in a file below .holdfast/hashes/: u64 each,
 * little-endian, 0 for the page of SQLite's locks, and nothing else.
 *
 * It is never synced and says nothing of itself. Whether it is right is told by its size and by the XOR of
 * all values, which must be the rolling hash that the log says (page_tables.h). One thread. */
#ifndef SNAPSHOT_PAGE_TABLE_H
#define SNAPSHOT_PAGE_TABLE_H

#include "base/err.h"
#include "snapshot/page_hashes.h"

#define PAGE_TABLES_FOLDER ".holdfast/hashes"

enum { PAGE_TABLE_PATH_SIZE = sizeof(PAGE_TABLES_FOLDER) + 17 };

/* Where that of a database lies, relative to the data directory. */
void page_table_path(const char *database, uint64_t incarnation, char path[static PAGE_TABLE_PATH_SIZE]);

/* A new one with these values; the folder is there. ERR_SYSTEM: a full disk, perhaps. */
bool page_table_create(int directory_fd, const char *path, const struct page_hashes *hashes,
                       struct err *err) CHECKED;
/* For reading and writing. ERR_NOT_FOUND. */
bool page_table_open(int directory_fd, const char *path, int *ret_fd, struct err *err) CHECKED;

/* `count` values, from that of page `first_page` (from 1) on. ERR_CORRUPT beyond the end. */
bool page_table_read(int fd, uint64_t first_page, uint64_t *values, size_t count, struct err *err) CHECKED;
/* Above the last page it grows. */
bool page_table_write(int fd, uint64_t first_page, const uint64_t *values, size_t count,
                      struct err *err) CHECKED;
/* Cuts it, or makes it larger by zeros. */
bool page_table_resize(int fd, uint64_t pages, struct err *err) CHECKED;
/* XOR of all values. ERR_CORRUPT if it isn't one of so many pages. */
bool page_table_rolling(int fd, uint64_t pages, uint64_t *ret_rolling, struct err *err) CHECKED;

#endif
