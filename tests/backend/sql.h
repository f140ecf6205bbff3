/* SQLite as Convex's driver (rusqlite 0.32) uses it: one connection without a mutex of its own, a busy
 * timeout of 5 s, statements prepared once and kept. The only module that knows SQLite.
 *
 * A connection belongs to one thread at a time; its owner guards it. */
#ifndef TESTS_BACKEND_SQL_H
#define TESTS_BACKEND_SQL_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct sql;
struct sql_statement;

/* Opens or creates the file. No PRAGMA is issued: Convex issues none. */
bool sql_open(const char *path, struct sql **ret_sql, struct err *err) CHECKED;
/* Finalises every statement and closes; NULL is fine. */
void sql_close(struct sql *sql);
DEFINE_CLEANUP(struct sql *, sql_close, sql_closep)

/* Runs statements that return nothing of interest. ERR_TRANSIENT when a lock was not to be had (SQLITE_BUSY).
 */
bool sql_run(struct sql *sql, const char *text, struct err *err) CHECKED;

/* The statement for text, which must be a literal: it is prepared once and belongs to the connection. Its old
 * bindings are cleared. */
bool sql_prepare(struct sql *sql, const char *text, struct sql_statement **ret_statement,
                 struct err *err) CHECKED;

/* Parameters count from 1. Bytes are not copied: they must live until the statement is reset. NULL bytes bind
 * NULL. */
void sql_bind_blob(struct sql_statement *statement, int parameter, const void *bytes, size_t size);
void sql_bind_text(struct sql_statement *statement, int parameter, const char *text);
void sql_bind_number(struct sql_statement *statement, int parameter, int64_t number);

/* The next row, if there is one. After the last row or a failure the statement is reset; who stops earlier
 * resets it. */
bool sql_step(struct sql_statement *statement, bool *ret_row, struct err *err) CHECKED;
/* Steps to the end, ignoring rows. */
bool sql_execute(struct sql_statement *statement, struct err *err) CHECKED;
void sql_reset(struct sql_statement *statement);

/* Columns count from 0; bytes and text live until the next step or reset. Text is NULL for NULL. */
int64_t sql_number(struct sql_statement *statement, int column);
const char *sql_text(struct sql_statement *statement, int column);
const void *sql_blob(struct sql_statement *statement, int column, size_t *ret_size);

/* "3.40.1": of the library in use. Static. */
const char *sql_version(void);

#endif
