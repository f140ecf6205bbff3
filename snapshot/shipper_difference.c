/* A start on a disk that holds more than was shipped: what it has more, as pages.
 *
 * The commits themselves are gone from the databases' logs, or nobody can tell any more where the shipped
 * ones end. But the databases are frozen, the application isn't started, and the tables say what each page
 * was when it was shipped. So all pages are hashed, and those that differ are one commit of each database,
 * without previous images, which nobody has any more. Everything after that follows as ever.
 *
 * The record that carries it states the rolling hash of what lies here, and a restore would fail if a page
 * were left out. That none is, follows from the XOR: the values in the table lead to what was shipped
 * (page_tables.h), and with those of the changed pages replaced to what is here. */
#include "snapshot/shipper_internal.h"

#include "snapshot/delta.h"
#include "snapshot/pagehash.h"

#include <assert.h>
#include <string.h>

/* One database, as it is frozen, against its table. */
struct difference {
    struct outbox *outbox;
    const struct base_database *source;
    const struct manifest_database *before;
    int table_fd;
    uint32_t page_size;
    uint32_t pages;        /* now */
    uint64_t rolling_hash; /* now */
    uint8_t *changed;      /* a bit for each page */
    uint64_t changed_count;
    uint64_t changed_hash; /* XOR of what the changed pages hash to now */
    uint8_t *bytes;        /* of a piece, or a run */
    uint64_t now[DELTA_PAGES_MAX], then[DELTA_PAGES_MAX];
};

static void mark_changed(struct difference *difference, uint32_t page, uint64_t hash)
{
    difference->changed[page / 8] |= (uint8_t)(1 << page % 8);
    difference->changed_count++;
    difference->changed_hash ^= hash;
}

static bool is_changed(const struct difference *difference, uint32_t page)
{
    return difference->changed[page / 8] & 1 << page % 8;
}

static uint32_t piece_pages(const struct difference *difference, uint64_t first, uint64_t last)
{
    uint32_t most = delta_pages_max(difference->page_size);

    return last - first + 1 < most ? (uint32_t)(last - first + 1) : most;
}

static bool read_pages(struct difference *difference, uint32_t first, uint32_t count, uint8_t *bytes,
                       struct err *err)
{
    return database_read_frozen(difference->source->database, (uint64_t)(first - 1) * difference->page_size,
                                bytes, (size_t)count * difference->page_size, err);
}

/* --- comparing --------------------------------------------------------------------------------------- */

/* *change: by how much the rolling hash differs. */
static bool compare_piece(struct difference *difference, uint32_t first, uint32_t count, uint64_t *change,
                          struct err *err)
{
    uint64_t shipped = difference->before->pages;
    uint32_t known = shipped < first               ? 0
                     : shipped - first + 1 < count ? (uint32_t)(shipped - first + 1)
                                                   : count;
    uint32_t lock_page = pagehash_lock_page(difference->page_size);

    if (!read_pages(difference, first, count, difference->bytes, err) ||
        !page_table_read(difference->table_fd, first, difference->then, known, err))
        return false;
    difference->rolling_hash ^= pagehash_each(difference->bytes, (size_t)count * difference->page_size,
                                              difference->page_size, first, difference->now);
    for (uint32_t at = 0; at < count; at++) {
        uint64_t then = at < known ? difference->then[at] : 0;
        if (first + at == lock_page || (at < known && then == difference->now[at]))
            continue;
        mark_changed(difference, first + at, difference->now[at]);
        *change ^= then ^ difference->now[at];
    }
    return true;
}

/* The pages that are gone. */
static bool compare_cut(struct difference *difference, uint64_t *change, struct err *err)
{
    uint64_t last = difference->before->pages;
    uint32_t count;

    for (uint64_t first = (uint64_t)difference->pages + 1; first <= last; first += count) {
        count = piece_pages(difference, first, last);
        if (!page_table_read(difference->table_fd, first, difference->then, count, err))
            return false;
        for (uint32_t at = 0; at < count; at++)
            *change ^= difference->then[at];
    }
    return true;
}

/* A commit has a page at least. */
static bool mark_one(struct difference *difference, struct err *err)
{
    if (difference->changed_count > 0 || difference->pages == difference->before->pages)
        return true;
    if (!page_table_read(difference->table_fd, 1, difference->then, 1, err))
        return false;
    mark_changed(difference, 1, difference->then[0]);
    return true;
}

static bool compare(struct difference *difference, struct err *err)
{
    uint64_t change = 0;
    uint32_t count;

    for (uint64_t first = 1; first <= difference->pages; first += count) {
        count = piece_pages(difference, first, difference->pages);
        if (!compare_piece(difference, (uint32_t)first, count, &change, err))
            return false;
    }
    if (!compare_cut(difference, &change, err))
        return false;
    if ((difference->before->rolling_hash ^ change) != difference->rolling_hash)
        return err_set(err, ERR_CORRUPT, "%s: its table of page hashes is wrong", difference->source->path);
    return mark_one(difference, err);
}

/* --- handing over ------------------------------------------------------------------------------------ */

static bool read_run(struct difference *difference, const uint32_t *pages, uint32_t count, struct err *err)
{
    uint32_t length;

    for (uint32_t at = 0; at < count; at += length) {
        uint8_t *bytes = difference->bytes + (size_t)at * difference->page_size;
        length = 1;
        while (at + length < count && pages[at + length] == pages[at] + length)
            length++;
        if (!read_pages(difference, pages[at], length, bytes, err))
            return false;
        difference->changed_hash ^= pagehash_each(bytes, (size_t)length * difference->page_size,
                                                  difference->page_size, pages[at], difference->now + at);
    }
    return true;
}

static bool add_run(struct difference *difference, const uint32_t *pages, uint32_t count, bool is_first,
                    struct err *err)
{
    struct database_run run = {
        .page_size = difference->page_size,
        .pages_after = difference->pages,
        .is_first = is_first,
        .is_last = difference->changed_count == count,
        .count = count,
        .pages = pages,
        .images = difference->bytes,
        .hashes = difference->now,
    };

    if (!read_run(difference, pages, count, err))
        return false;
    if (run.is_last && difference->changed_hash != 0)
        return err_set(err, ERR_CORRUPT, "%s has changed while it was read", difference->source->path);
    difference->changed_count -= count;
    return outbox_add(difference->outbox, difference->source, difference->rolling_hash, &run, err);
}

static bool add_changed(struct difference *difference, struct err *err)
{
    uint32_t pages[DELTA_PAGES_MAX], count = 0, most = delta_pages_max(difference->page_size);
    bool is_first = true;

    for (uint64_t page = 1; difference->changed_count > 0; page++) {
        assert(page <= difference->pages);
        if (is_changed(difference, (uint32_t)page))
            pages[count++] = (uint32_t)page;
        if (count == 0 || (count < most && count < difference->changed_count))
            continue;
        if (!add_run(difference, pages, count, is_first, err))
            return false;
        is_first = false;
        count = 0;
    }
    return true;
}

/* Compares the database, and puts what differs into the outbox. */
static bool add_database(struct difference *difference, struct err *err)
{
    bool added = compare(difference, err) && add_changed(difference, err);

    free(difference->changed);
    free(difference->bytes);
    close_fdp(&difference->table_fd);
    return added;
}

static bool begin(struct difference *difference, const struct shipper *shipper, size_t at, struct err *err)
{
    size_t count = 0;
    const struct base_database *source = &follower_databases(shipper->follower, &count)[at];
    const struct database_frozen *frozen = database_frozen(source->database);

    memset(difference, 0, sizeof(*difference));
    difference->outbox = shipper->outbox;
    difference->source = source;
    difference->before = &shipper->previous.databases[at];
    difference->page_size = frozen->page_size;
    difference->pages = frozen->page_count;
    if (frozen->page_size != difference->before->page_size || frozen->page_count == 0)
        return err_set(err, ERR_CONFLICT, "%s has another page size than what was shipped of it",
                       source->path);
    if (!page_tables_open(&shipper->tables, difference->before, &difference->table_fd, err))
        return false;
    difference->changed = xcalloc((size_t)difference->pages / 8 + 1, 1);
    difference->bytes = xmalloc((size_t)delta_pages_max(difference->page_size) * difference->page_size);
    return true;
}

static bool add_all(struct shipper *shipper, uint64_t *rolling_hashes, struct err *err)
{
    CLEANUP(freep) struct difference *difference = xmalloc(sizeof(*difference));

    for (size_t at = 0; at < shipper->previous.databases_count; at++) {
        if (!begin(difference, shipper, at, err) || !add_database(difference, err))
            return false;
        rolling_hashes[at] = difference->rolling_hash;
    }
    return true;
}

/* --- what follows ------------------------------------------------------------------------------------ */

static void follow(struct shipper *shipper, const uint64_t *rolling_hashes,
                   const struct follower_frozen *frozen)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);
    struct cut cut = {
        .end = outbox_end(shipper->outbox), .position = frozen->position, .commits = frozen->commits};

    for (size_t at = 0; at < count; at++)
        outbox_follow(shipper->outbox, &databases[at], rolling_hashes[at]);
    shipper_remember_marks(shipper, &cut.point);
    cuts_add(&shipper->cuts, &cut);
}

bool shipper_add_difference(struct shipper *shipper, const struct follower_frozen *frozen, bool *ret_same,
                            struct err *err)
{
    uint64_t rolling_hashes[DATABASE_FREEZE_MAX];

    *ret_same = false;
    if (!shipper->tables.work || !shipper_same_databases(shipper))
        return err_set(err, ERR_NOT_FOUND, "nothing tells what differs from what was shipped");
    outbox_clear(shipper->outbox);
    cuts_clear(&shipper->cuts);
    if (!add_all(shipper, rolling_hashes, err)) {
        outbox_clear(shipper->outbox);
        outbox_rest(shipper->outbox);
        return false;
    }
    *ret_same = outbox_begin(shipper->outbox) == outbox_end(shipper->outbox);
    if (!*ret_same)
        follow(shipper, rolling_hashes, frozen);
    outbox_rest(shipper->outbox);
    return true;
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
