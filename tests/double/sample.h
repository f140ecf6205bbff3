/* Directories, copies and judgements for tests with the writer's databases. */
#ifndef TESTS_DOUBLE_SAMPLE_H
#define TESTS_DOUBLE_SAMPLE_H

#include "snapshot/database.h"

#include <stdbool.h>
#include <stdint.h>

enum { SAMPLE_PATH_MAX = 160 };

/* A fresh directory of the test, removed with all in it when the process ends normally. */
const char *sample_directory(void);
/* directory/name; valid until the process ends. */
const char *sample_path(const char *name);

/* What SQLite says of a database file that nobody else uses. */
struct sample_state {
    bool is_sound; /* it can be opened and PRAGMA integrity_check says ok */
    int64_t a, b;  /* of the row of `pair` */
    int64_t rows;  /* of `entry` */
    char complaint[200];
};

struct sample_state sample_read(const char *path);
/* Sound, and a, b and rows agree: the value, or -1 after printing what is wrong. */
int64_t sample_value(const char *path);

/* Writes a frozen database into a new file, in pieces. */
bool sample_copy_frozen(struct database *database, const char *target, struct err *err);
/* XXH3 of a frozen database's bytes. */
uint64_t sample_hash_frozen(struct database *database);

/* The same of a file that is not attached. */
uint64_t sample_hash_file(const char *path);

/* The random tags of all rows in order, as one text: of two states of one history the tags of the earlier are
 * the beginning of the later's. Empty for no table or no file; the caller frees it. */
char *sample_tags(const char *path);

/* Leaves the wal-index of the database as an application does that is killed between its two writes: the
 * second copy of the header is the new one. */
void sample_tear_index(const char *path);

uint64_t sample_size(const char *path);
bool sample_exists(const char *path);

#endif
