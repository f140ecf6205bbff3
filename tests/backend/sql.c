#include "tests/backend/sql.h"

#include "base/buf.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { BUSY_TIMEOUT_MS = 5000, STATEMENTS_MAX = 32 };

struct sql_statement {
    const char *text;
    sqlite3_stmt *handle;
    struct sql *sql;
};

struct sql {
    sqlite3 *handle;
    struct sql_statement statements[STATEMENTS_MAX];
    size_t statement_count;
};

const char *sql_version(void)
{
    return sqlite3_libversion();
}

static bool fail(sqlite3 *handle, struct err *err)
{
    int code = sqlite3_errcode(handle) & 0xff;

    return err_set(err, code == SQLITE_BUSY ? ERR_TRANSIENT : ERR_SYSTEM, "SQLite says %d: %s",
                   sqlite3_extended_errcode(handle), sqlite3_errmsg(handle));
}

bool sql_open(const char *path, struct sql **ret_sql, struct err *err)
{
    CLEANUP(sql_closep) struct sql *sql = xcalloc(1, sizeof(*sql));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI |
                SQLITE_OPEN_EXRESCODE;

    if (sqlite3_open_v2(path, &sql->handle, flags, NULL) != SQLITE_OK) {
        (void)fail(sql->handle, err);
        return err_wrap(err, "open %s", path);
    }
    (void)sqlite3_busy_timeout(sql->handle, BUSY_TIMEOUT_MS);
    *ret_sql = MOVE(sql);
    return true;
}

void sql_close(struct sql *sql)
{
    int code;

    if (!sql)
        return;
    for (size_t at = 0; at < sql->statement_count; at++)
        (void)sqlite3_finalize(sql->statements[at].handle);
    code = sqlite3_close(sql->handle);
    assert(code == SQLITE_OK);
    free(sql);
}

bool sql_run(struct sql *sql, const char *text, struct err *err)
{
    if (sqlite3_exec(sql->handle, text, NULL, NULL, NULL) == SQLITE_OK)
        return true;
    (void)fail(sql->handle, err);
    return err_wrap(err, "%.60s", text);
}

bool sql_prepare(struct sql *sql, const char *text, struct sql_statement **ret_statement, struct err *err)
{
    struct sql_statement *statement;

    for (size_t at = 0; at < sql->statement_count; at++) {
        if (sql->statements[at].text == text) {
            (void)sqlite3_clear_bindings(sql->statements[at].handle);
            *ret_statement = &sql->statements[at];
            return true;
        }
    }
    assert(sql->statement_count < STATEMENTS_MAX);
    statement = &sql->statements[sql->statement_count];
    if (sqlite3_prepare_v3(sql->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &statement->handle, NULL) !=
        SQLITE_OK) {
        (void)fail(sql->handle, err);
        return err_wrap(err, "prepare %.60s", text);
    }
    statement->text = text;
    statement->sql = sql;
    sql->statement_count++;
    *ret_statement = statement;
    return true;
}

/* Binding can only fail for a wrong parameter number, a mistake of ours. */
static void bound(int code)
{
    assert(code == SQLITE_OK);
}

void sql_bind_blob(struct sql_statement *statement, int parameter, const void *bytes, size_t size)
{
    bound(sqlite3_bind_blob64(statement->handle, parameter, bytes, size, SQLITE_STATIC));
}

void sql_bind_text(struct sql_statement *statement, int parameter, const char *text)
{
    bound(sqlite3_bind_text(statement->handle, parameter, text, -1, SQLITE_STATIC));
}

void sql_bind_number(struct sql_statement *statement, int parameter, int64_t number)
{
    bound(sqlite3_bind_int64(statement->handle, parameter, number));
}

bool sql_step(struct sql_statement *statement, bool *ret_row, struct err *err)
{
    int code = sqlite3_step(statement->handle);

    if (code == SQLITE_ROW) {
        *ret_row = true;
        return true;
    }
    if (code != SQLITE_DONE)
        (void)fail(statement->sql->handle, err);
    (void)sqlite3_reset(statement->handle);
    if (code != SQLITE_DONE)
        return err_wrap(err, "%.60s", statement->text);
    *ret_row = false;
    return true;
}

bool sql_execute(struct sql_statement *statement, struct err *err)
{
    bool row;

    do {
        if (!sql_step(statement, &row, err))
            return false;
    } while (row);
    return true;
}

void sql_reset(struct sql_statement *statement)
{
    (void)sqlite3_reset(statement->handle);
}

int64_t sql_number(struct sql_statement *statement, int column)
{
    return sqlite3_column_int64(statement->handle, column);
}

const char *sql_text(struct sql_statement *statement, int column)
{
    return (const char *)sqlite3_column_text(statement->handle, column);
}

const void *sql_blob(struct sql_statement *statement, int column, size_t *ret_size)
{
    const void *bytes = sqlite3_column_blob(statement->handle, column);

    *ret_size = (size_t)sqlite3_column_bytes(statement->handle, column);
    return bytes;
}
