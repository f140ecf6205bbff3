#include "tests/backend/first_boot.h"

#include "tests/backend/hooks.h"
#include "tests/backend/query.h"
#include "tests/backend/say.h"
#include "tests/backend/schema.h"

#include "base/buf.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>

/* The globals of a first boot, in the order and the pairs in which Convex writes them. */
static const struct {
    const char *key, *name;
} boot_globals[] = {
    {"tables_by_id", "_tables.by_id"},
    {"index_by_id", "_index.by_id"},
    {"tables_table_id", "_tables"},
    {"index_table_id", "_index"},
};
enum { BOOT_GLOBALS = sizeof(boot_globals) / sizeof(boot_globals[0]) };

static bool write_boot_global(struct persistence *persistence, size_t at, struct err *err)
{
    struct ident ident = ident_of_name(boot_globals[at].name);
    char text[IDENT_TEXT_SIZE], json[IDENT_TEXT_SIZE + 2];

    ident_text(&ident, text);
    (void)snprintf(json, sizeof(json), "\"%s\"", text);
    return persistence_set_global(persistence, boot_globals[at].key, json, err);
}

static void add_definition(struct batch *batch, const struct ident *table, const char *name, int64_t ts)
{
    struct document_row row = {.id = ident_of_name(name), .table = *table, .ts = ts};

    row.json = xasprintf("{\"name\":\"%s\",\"state\":\"active\"}", name);
    batch_add_document(batch, &row);
}

static bool write_definitions(struct persistence *persistence, const struct ident *table,
                              const char *const names[], struct err *err)
{
    struct batch batch = {0};
    int64_t ts = (int64_t)clock_unix_ns();
    bool written;

    for (size_t at = 0; names[at]; at++)
        add_definition(&batch, table, names[at], ts);
    written = persistence_write(persistence, &batch, err);
    batch_clear(&batch);
    return written;
}

static bool initialize(struct persistence *persistence, struct err *err)
{
    static const char *const bootstrap[] = {"_tables.by_id", "_index.by_id", NULL};

    say("Initializing database with system tables...");
    for (size_t at = 0; at < BOOT_GLOBALS; at++) {
        if (!write_boot_global(persistence, at, err))
            return false;
        if (at == 1)
            hook_reach(HOOK_FIRST_GLOBALS);
    }
    hook_reach(HOOK_SECOND_GLOBALS);
    if (!write_definitions(persistence, &schema_get()->indexes, bootstrap, err))
        return false;
    hook_reach(HOOK_DOCUMENTS);
    return true;
}

static bool bump_max_repeatable(struct persistence *persistence, struct err *err)
{
    char json[24];

    (void)snprintf(json, sizeof(json), "%" PRIu64, clock_unix_ns());
    return persistence_set_global(persistence, "max_repeatable_ts", json, err);
}

static bool check_bootstrap(struct persistence *persistence, struct err *err)
{
    bool present;

    for (size_t at = 0; at < BOOT_GLOBALS; at++) {
        if (!query_has_global(persistence, boot_globals[at].key, &present, err))
            return false;
        if (!present)
            return err_set(err, ERR_CORRUPT, "missing %s global", boot_globals[at].name);
    }
    if (!query_has_document(persistence, &schema_get()->indexes, &present, err))
        return false;
    return present || err_set(err, ERR_CORRUPT, "cannot find table \"_index\"");
}

/* Written at any start that doesn't find them, so a kill before them does no harm. */
static bool ensure_application(struct persistence *persistence, struct err *err)
{
    static const char *const tables[] = {"messages", "channels", "_file_storage", "_db", NULL};
    static const char *const globals[] = {"database_globals", NULL};
    bool present;

    if (!query_has_document(persistence, &schema_get()->tables, &present, err) ||
        (!present && !write_definitions(persistence, &schema_get()->tables, tables, err)))
        return false;
    return query_has_document(persistence, &schema_get()->globals, &present, err) &&
           (present || write_definitions(persistence, &schema_get()->globals, globals, err));
}

bool database_load(struct persistence *persistence, struct err *err)
{
    if (persistence->fresh && !initialize(persistence, err))
        return err_wrap(err, "initialize");
    /* Convex writes this before it finds out that the rest is missing. */
    return bump_max_repeatable(persistence, err) && check_bootstrap(persistence, err) &&
           ensure_application(persistence, err);
}
