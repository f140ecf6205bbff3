/* A start on a disk that holds more than was shipped: what it has more, as pages.
 *
 * The commits themselves are gone from the databases' logs, or nobody can tell any more where the shipped
 * ones end. But the databases are frozen, the application isn't started, and the tables say what each page
 * was when it was shipped. So all pages are hashed, and those that differ are one commit of each database,
 * without previous images, which nobody has any more. Everything after that follows as ever, and so do
 * databases that have come, gone or taken another's place (shipper_databases.c). */
#include "snapshot/shipper_internal.h"

#include "snapshot/difference.h"
#include "snapshot/pagehash.h"

/* What goes on from a database of the newest record; NULL: it is gone. */
static const struct base_database *find_source(const struct shipper *shipper,
                                               const struct manifest_database *before)
{
    const struct base_database *source = follower_database(shipper->follower, before->path);

    return source && source->incarnation == before->incarnation ? source : NULL;
}

static bool add_database(struct shipper *shipper, size_t at, uint64_t *ret_rolling_hash, struct err *err)
{
    const struct manifest_database *before = &shipper->previous.databases[at];
    const struct base_database *source = find_source(shipper, before);
    struct difference difference;
    int table_fd = -1;
    bool added;

    if (!source) /* a record that follows says so */
        return true;
    if (!page_tables_open(&shipper->tables, before, &table_fd, err))
        return false;
    added = difference_begin(&difference, source, before, table_fd, err) &&
            difference_find(&difference, shipper->pool, err) &&
            difference_add(&difference, shipper->outbox, err);
    *ret_rolling_hash = difference.rolling_hash;
    difference_end(&difference);
    return added;
}

static void follow(struct shipper *shipper, const uint64_t *rolling_hashes)
{
    for (size_t at = 0; at < shipper->previous.databases_count; at++) {
        const struct base_database *source = find_source(shipper, &shipper->previous.databases[at]);
        if (source)
            outbox_follow(shipper->outbox, source, rolling_hashes[at]);
    }
}

static void cut_here(struct shipper *shipper, const struct follower_frozen *frozen)
{
    struct cut cut = {
        .end = outbox_end(shipper->outbox), .position = frozen->position, .commits = frozen->commits};

    shipper_remember_marks(shipper, &cut.point);
    cuts_add(&shipper->cuts, &cut);
}

bool shipper_add_difference(struct shipper *shipper, const struct follower_frozen *frozen, bool *ret_same,
                            struct err *err)
{
    uint64_t rolling_hashes[DATABASE_FREEZE_MAX] = {0};
    bool added = true;

    *ret_same = false;
    if (!shipper->tables.work)
        return err_set(err, ERR_NOT_FOUND, "nothing tells what differs from what was shipped");
    outbox_clear(shipper->outbox);
    cuts_clear(&shipper->cuts);
    for (size_t at = 0; added && at < shipper->previous.databases_count; at++)
        added = add_database(shipper, at, &rolling_hashes[at], err);
    outbox_rest(shipper->outbox);
    if (!added) {
        outbox_clear(shipper->outbox);
        return false;
    }
    *ret_same = outbox_begin(shipper->outbox) == outbox_end(shipper->outbox);
    if (*ret_same)
        return true;
    follow(shipper, rolling_hashes);
    cut_here(shipper, frozen);
    return true;
}

void shipper_begin_collecting(struct shipper *shipper)
{
    uint64_t rolling_hashes[DATABASE_FREEZE_MAX] = {0};

    outbox_clear(shipper->outbox);
    cuts_clear(&shipper->cuts);
    for (size_t at = 0; at < shipper->previous.databases_count; at++)
        rolling_hashes[at] = shipper->previous.databases[at].rolling_hash;
    follow(shipper, rolling_hashes);
}

static bool hash_database(const struct base_database *source, struct manifest_database *state,
                          struct err *err)
{
    const struct database_frozen *frozen = database_frozen(source->database);
    uint32_t step = delta_pages_max(frozen->page_size), count;
    CLEANUP(freep) uint8_t *bytes = xmalloc((size_t)step * frozen->page_size);

    state->hashes = page_hashes_new(frozen->page_count);
    for (uint64_t first = 1; first <= frozen->page_count; first += count) {
        size_t size;
        count = frozen->page_count - first + 1 < step ? (uint32_t)(frozen->page_count - first + 1) : step;
        size = (size_t)count * frozen->page_size;
        if (!database_read_frozen(source->database, (first - 1) * frozen->page_size, bytes, size, err))
            return false;
        (void)pagehash_each(bytes, size, frozen->page_size, first, state->hashes->values + first - 1);
    }
    return true;
}

void shipper_make_tables(struct shipper *shipper)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);
    struct err ignored = {0};
    bool hashed = !shipper->tables.work && shipper_same_databases(shipper);

    for (size_t at = 0; hashed && at < count; at++)
        hashed = hash_database(&databases[at], &shipper->previous.databases[at], &ignored);
    if (!shipper->tables.work)
        page_tables_replace(&shipper->tables, &shipper->previous);
}
