#include "tests/backend/query.h"

#include "tests/backend/schema.h"

#include "base/thread.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Newest revisions only: an older one, or one whose newest is a deletion, is left out. */
#define SELECT_ENTRIES                                                                                     \
    "SELECT i.key, i.ts, i.document_id, json_extract(d.json_value, '$.value'),"                            \
    " json_extract(d.json_value, '$.sha256'), json_extract(d.json_value, '$.size')"                        \
    " FROM indexes i JOIN documents d ON d.ts = i.ts AND d.table_id = i.table_id AND d.id = i.document_id" \
    " WHERE i.index_id = ?1 AND i.deleted = 0"                                                             \
    " AND i.ts = (SELECT max(n.ts) FROM indexes n WHERE n.index_id = i.index_id AND n.key = i.key)"

void entry_clear(struct entry *entry)
{
    free(entry->value);
    free(entry->sha256);
    *entry = (struct entry){0};
}

static char *text_or_null(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static void read_key(struct sql_statement *statement, struct index_key *key)
{
    size_t size;
    const void *bytes = sql_blob(statement, 0, &size);

    *key = (struct index_key){0};
    key_add(key, bytes, size);
}

static void read_entry(struct sql_statement *statement, struct entry *entry)
{
    size_t size;
    const void *document = sql_blob(statement, 2, &size);

    assert(size == IDENT_SIZE);
    *entry = (struct entry){.ts = sql_number(statement, 1)};
    read_key(statement, &entry->key);
    memcpy(entry->document.bytes, document, IDENT_SIZE);
    entry->value = text_or_null(sql_text(statement, 3));
    entry->sha256 = text_or_null(sql_text(statement, 4));
    entry->size = sql_number(statement, 5);
}

static bool read_page(struct sql_statement *statement, struct entry *entries, size_t count, size_t *ret_count,
                      struct err *err)
{
    size_t found = 0;
    bool row = true;

    while (found < count) {
        if (!sql_step(statement, &row, err)) {
            while (found > 0)
                entry_clear(&entries[--found]);
            return false;
        }
        if (!row)
            break;
        read_entry(statement, &entries[found++]);
    }
    sql_reset(statement);
    *ret_count = found;
    return true;
}

bool query_page(struct persistence *persistence, const struct ident *index, const struct index_key *after,
                struct entry *entries, size_t count, size_t *ret_count, struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    struct sql_statement *statement;

    if (!sql_prepare(persistence->sql, SELECT_ENTRIES " AND i.key > ?2 ORDER BY i.key LIMIT ?3", &statement,
                     err))
        return false;
    sql_bind_blob(statement, 1, index->bytes, IDENT_SIZE);
    sql_bind_blob(statement, 2, after->bytes, after->size);
    sql_bind_number(statement, 3, (int64_t)count);
    return read_page(statement, entries, count, ret_count, err);
}

bool query_entry(struct persistence *persistence, const struct ident *index, const struct index_key *key,
                 struct entry *ret_entry, struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    struct sql_statement *statement;
    struct entry entry;
    size_t found;

    if (!sql_prepare(persistence->sql, SELECT_ENTRIES " AND i.key = ?2", &statement, err))
        return false;
    sql_bind_blob(statement, 1, index->bytes, IDENT_SIZE);
    sql_bind_blob(statement, 2, key->bytes, key->size);
    if (!read_page(statement, &entry, 1, &found, err))
        return false;
    if (found == 0)
        return err_set(err, ERR_NOT_FOUND, "no such entry");
    *ret_entry = entry;
    return true;
}

/* The one number that a query with at most one blob parameter gives; 0 without a row or for NULL. */
static bool query_number(struct sql *sql, const char *text, const struct ident *parameter,
                         int64_t *ret_number, struct err *err)
{
    struct sql_statement *statement;
    int64_t number;
    bool row;

    if (!sql_prepare(sql, text, &statement, err))
        return false;
    if (parameter)
        sql_bind_blob(statement, 1, parameter->bytes, IDENT_SIZE);
    if (!sql_step(statement, &row, err))
        return false;
    number = row ? sql_number(statement, 0) : 0;
    sql_reset(statement);
    *ret_number = number;
    return true;
}

bool query_count(struct persistence *persistence, const struct ident *index, int64_t *ret_count,
                 struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    /* A key of these indexes is written once and deleted at most once. */
    return query_number(persistence->sql,
                        "SELECT sum(CASE deleted WHEN 0 THEN 1 ELSE -1 END) FROM indexes WHERE index_id = ?",
                        index, ret_count, err);
}

static bool last_key(struct sql *sql, const struct ident *index, struct index_key *ret_key, struct err *err)
{
    struct sql_statement *statement;
    bool row;

    if (!sql_prepare(sql, "SELECT key FROM indexes WHERE index_id = ? ORDER BY key DESC LIMIT 1", &statement,
                     err))
        return false;
    sql_bind_blob(statement, 1, index->bytes, IDENT_SIZE);
    if (!sql_step(statement, &row, err))
        return false;
    *ret_key = (struct index_key){0};
    if (row)
        read_key(statement, ret_key);
    sql_reset(statement);
    return true;
}

bool query_last_key(struct persistence *persistence, const struct ident *index, struct index_key *ret_key,
                    struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    return last_key(persistence->sql, index, ret_key, err);
}

bool query_last_ts(struct persistence *persistence, int64_t *ret_ts, struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    return query_number(persistence->sql, "SELECT max(ts) FROM documents", NULL, ret_ts, err);
}

bool query_has_global(struct persistence *persistence, const char *key, bool *ret_has, struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    struct sql_statement *statement;

    if (!sql_prepare(persistence->sql, "SELECT 1 FROM persistence_globals WHERE key = ?", &statement, err))
        return false;
    sql_bind_text(statement, 1, key);
    if (!sql_step(statement, ret_has, err))
        return false;
    sql_reset(statement);
    return true;
}

bool query_has_document(struct persistence *persistence, const struct ident *table, bool *ret_has,
                        struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    int64_t found;

    if (!query_number(persistence->sql, "SELECT 1 FROM documents WHERE table_id = ? LIMIT 1", table, &found,
                      err))
        return false;
    *ret_has = found != 0;
    return true;
}

static bool check_one(struct sql *sql, struct buf *report, struct err *err)
{
    struct sql_statement *statement;
    bool row;

    if (!sql_prepare(sql, "PRAGMA integrity_check", &statement, err))
        return false;
    for (;;) {
        if (!sql_step(statement, &row, err))
            return false;
        if (!row)
            return true;
        if (strcmp(sql_text(statement, 0), "ok") != 0)
            buf_printf(report, "%s\n", sql_text(statement, 0));
    }
}

static bool check_second(struct persistence *persistence, struct buf *report, struct err *err)
{
    struct index_key last;
    int64_t number;

    if (!check_one(persistence->second, report, err) ||
        !query_number(persistence->second, "SELECT max(number) FROM numbers", NULL, &number, err) ||
        !last_key(persistence->sql, &schema_get()->messages.by_one, &last, err))
        return false;
    if (number > (last.size ? (int64_t)key_number(&last) : 0))
        buf_printf(report, "the second database holds number %" PRId64 ", the first does not\n", number);
    return true;
}

bool query_integrity(struct persistence *persistence, struct buf *report, struct err *err)
{
    MUTEX_GUARD(&persistence->mutex);
    return check_one(persistence->sql, report, err) &&
           (!persistence->second || check_second(persistence, report, err));
}
