#include "tests/backend/persistence.h"

#include "tests/backend/hooks.h"
#include "tests/backend/pause.h"

#include "base/buf.h"
#include "base/thread.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Word for word what a Convex database answers to `.schema` (crates/sqlite/src/lib.rs 624-664). */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS documents (\n"
    "    id BLOB NOT NULL,\n"
    "    ts INTEGER NOT NULL,\n"
    "    table_id BLOB NOT NULL,\n"
    "    json_value TEXT NULL,\n"
    "    deleted INTEGER NOT NULL,\n"
    "    prev_ts INTEGER,\n"
    "    PRIMARY KEY (ts, table_id, id)\n"
    ");\n"
    "CREATE INDEX IF NOT EXISTS documents_by_table_and_id ON documents (table_id, id, ts);\n"
    "CREATE TABLE IF NOT EXISTS indexes (\n"
    "    index_id BLOB NOT NULL,\n"
    "    ts INTEGER NOT NULL,\n"
    "    key BLOB NOT NULL,\n"
    "    deleted INTEGER NOT NULL,\n"
    "    table_id BLOB NULL,\n"
    "    document_id BLOB NULL,\n"
    "    PRIMARY KEY (index_id, key, ts)\n"
    ");\n"
    "CREATE TABLE IF NOT EXISTS persistence_globals (\n"
    "    key TEXT NOT NULL,\n"
    "    json_value TEXT NOT NULL,\n"
    "    PRIMARY KEY (key)\n"
    ");\n";

static const char second_schema[] =
    "CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY, ts INTEGER NOT NULL)";

bool persistence_open(const char *path, const char *second_path, struct persistence **ret_persistence,
                      struct err *err)
{
    CLEANUP(persistence_closep) struct persistence *persistence = xcalloc(1, sizeof(*persistence));

    pthread_mutex_init(&persistence->mutex, NULL);
    /* Asked before the open, which creates the file: the only thing that tells a first boot from any other.
     */
    persistence->fresh = access(path, F_OK) != 0;
    if (!sql_open(path, &persistence->sql, err))
        return false;
    hook_reach(HOOK_FILE_CREATED);
    if (!sql_run(persistence->sql, schema, err))
        return err_wrap(err, "%s", path);
    hook_reach(HOOK_TABLES);
    if (second_path && !sql_open(second_path, &persistence->second, err))
        return false;
    if (second_path && !sql_run(persistence->second, second_schema, err))
        return err_wrap(err, "%s", second_path);
    *ret_persistence = MOVE(persistence);
    return true;
}

void persistence_close(struct persistence *persistence)
{
    if (!persistence)
        return;
    sql_close(persistence->sql);
    sql_close(persistence->second);
    pthread_mutex_destroy(&persistence->mutex);
    free(persistence);
}

static bool insert_documents(struct sql *sql, const struct batch *batch, struct err *err)
{
    struct sql_statement *statement;

    if (!sql_prepare(sql,
                     "INSERT INTO documents (id, ts, table_id, json_value, deleted, prev_ts) VALUES (?, ?, "
                     "?, ?, ?, ?)",
                     &statement, err))
        return false;
    for (size_t at = 0; at < batch->document_count; at++) {
        const struct document_row *row = &batch->documents[at];
        sql_bind_blob(statement, 1, row->id.bytes, IDENT_SIZE);
        sql_bind_number(statement, 2, row->ts);
        sql_bind_blob(statement, 3, row->table.bytes, IDENT_SIZE);
        sql_bind_text(statement, 4, row->json);
        sql_bind_number(statement, 5, row->json ? 0 : 1);
        if (row->prev_ts)
            sql_bind_number(statement, 6, row->prev_ts);
        else
            sql_bind_blob(statement, 6, NULL, 0);
        if (!sql_execute(statement, err))
            return false;
    }
    return true;
}

static bool insert_indexes(struct sql *sql, const struct batch *batch, struct err *err)
{
    struct sql_statement *statement;

    if (!sql_prepare(sql,
                     "INSERT OR REPLACE INTO indexes (index_id, ts, key, deleted, table_id, document_id) "
                     "VALUES (?, ?, ?, ?, ?, ?)",
                     &statement, err))
        return false;
    for (size_t at = 0; at < batch->index_count; at++) {
        const struct index_row *row = &batch->indexes[at];
        sql_bind_blob(statement, 1, row->index.bytes, IDENT_SIZE);
        sql_bind_number(statement, 2, row->ts);
        sql_bind_blob(statement, 3, row->key.bytes, row->key.size);
        sql_bind_number(statement, 4, row->deleted);
        sql_bind_blob(statement, 5, row->deleted ? NULL : row->table.bytes, IDENT_SIZE);
        sql_bind_blob(statement, 6, row->deleted ? NULL : row->document.bytes, IDENT_SIZE);
        if (!sql_execute(statement, err))
            return false;
    }
    return true;
}

static bool write_second(struct persistence *persistence, const struct batch *batch, struct err *err)
{
    struct sql_statement *statement;

    if (!persistence->second || batch->first_number == 0)
        return true;
    hook_reach(HOOK_BETWEEN_DATABASES);
    if (!sql_run(persistence->second, "BEGIN DEFERRED", err) ||
        !sql_prepare(persistence->second, "INSERT OR REPLACE INTO numbers (number, ts) VALUES (?, ?)",
                     &statement, err))
        return false;
    for (int64_t number = batch->first_number; number <= batch->last_number; number++) {
        sql_bind_number(statement, 1, number);
        sql_bind_number(statement, 2, batch->documents[0].ts);
        if (!sql_execute(statement, err))
            return false;
    }
    return sql_run(persistence->second, "COMMIT", err);
}

bool persistence_write(struct persistence *persistence, const struct batch *batch, struct err *err)
{
    assert(batch->document_count > 0);
    MUTEX_GUARD(&persistence->mutex);
    if (!sql_run(persistence->sql, "BEGIN DEFERRED", err) ||
        !insert_documents(persistence->sql, batch, err) || !insert_indexes(persistence->sql, batch, err))
        return false;
    hook_reach(HOOK_BEFORE_COMMIT);
    pause_ms(persistence->commit_delay_ms);
    if (!sql_run(persistence->sql, "COMMIT", err) || !write_second(persistence, batch, err))
        return false;
    hook_reach(HOOK_AFTER_COMMIT);
    return true;
}

static bool replace_global(struct sql *sql, const char *key, const char *json, struct err *err)
{
    struct sql_statement *statement;

    if (!sql_run(sql, "BEGIN DEFERRED", err) ||
        !sql_prepare(sql, "INSERT OR REPLACE INTO persistence_globals (key, json_value) VALUES (?, ?)",
                     &statement, err))
        return false;
    sql_bind_text(statement, 1, key);
    sql_bind_text(statement, 2, json);
    return sql_execute(statement, err) && sql_run(sql, "COMMIT", err);
}

bool persistence_set_global(struct persistence *persistence, const char *key, const char *json,
                            struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    struct err ignored;

    if (replace_global(persistence->sql, key, json, err))
        return true;
    /* Unlike a mutation, this may be tried again: leave no transaction behind. */
    (void)!sql_run(persistence->sql, "ROLLBACK", &ignored);
    return err_wrap(err, "write the global %s", key);
}

bool persistence_hold(struct persistence *persistence, unsigned hold_ms, struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    if (!sql_run(persistence->sql, "BEGIN IMMEDIATE", err))
        return false;
    pause_ms(hold_ms);
    return sql_run(persistence->sql, "COMMIT", err);
}

bool persistence_hurry(struct persistence *persistence, struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    return sql_run(persistence->sql, "PRAGMA journal_mode = OFF", err) &&
           sql_run(persistence->sql, "PRAGMA synchronous = OFF", err) &&
           sql_run(persistence->sql, "PRAGMA cache_size = -262144", err);
}

bool persistence_use_wal(struct persistence *persistence, struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    return sql_run(persistence->sql, "PRAGMA journal_mode = WAL", err);
}
