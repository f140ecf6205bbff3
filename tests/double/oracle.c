#include "tests/double/oracle.h"

#include "base/buf.h"
#include "snapshot/pagehash.h"
#include "tests/double/scene.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool wrong(struct err *err, const char *what, uint64_t is, uint64_t wanted)
{
    printf("#   the oracle: %s: %llu, not %llu\n", what, (unsigned long long)is, (unsigned long long)wanted);
    return err_set(err, ERR_CORRUPT, "the oracle does not agree");
}

static uint8_t *page_of(const struct oracle *oracle, uint32_t page)
{
    return oracle->bytes + (size_t)(page - 1) * oracle->page_size;
}

static uint64_t hash_of(const struct oracle *oracle, const uint8_t *bytes, uint32_t page)
{
    return pagehash_of(bytes, oracle->page_size, oracle->page_size, page);
}

static void unstage(struct oracle *oracle)
{
    free(oracle->staged);
    free(oracle->staged_pages);
    oracle->staged = NULL;
    oracle->staged_pages = NULL;
    oracle->staged_count = 0;
    oracle->staged_runs = 0;
    oracle->is_staged = false;
}

static bool check_numbers(const struct oracle *oracle, const struct database_run *run, struct err *err)
{
    uint32_t last = oracle->staged_count > 0 ? oracle->staged_pages[oracle->staged_count - 1] : 0;

    if (run->page_size != oracle->page_size)
        return wrong(err, "page size", run->page_size, oracle->page_size);
    if (run->pages_before != oracle->pages)
        return wrong(err, "pages before", run->pages_before, oracle->pages);
    if (run->count == 0 || run->count > DATABASE_RUN_PAGES_MAX)
        return wrong(err, "pages in a run", run->count, DATABASE_RUN_PAGES_MAX);
    for (uint32_t at = 0; at < run->count; at++) {
        if (run->pages[at] <= last || run->pages[at] > run->pages_after)
            return wrong(err, "page number out of order", run->pages[at], last);
        last = run->pages[at];
        if (run->hashes[at] != hash_of(oracle, run->images + (size_t)at * run->page_size, last))
            return wrong(err, "the hash of page", last, last);
    }
    if (oracle->staged_runs > 0 &&
        (run->rolling_change != oracle->staged_change || run->pages_after != oracle->staged_after))
        return wrong(err, "another rolling hash in one commit", run->rolling_change, oracle->staged_change);
    return true;
}

static bool check_previous(const struct oracle *oracle, const struct database_run *run, struct err *err)
{
    uint32_t known = 0;

    for (uint32_t at = 0; at < run->count && run->pages[at] <= oracle->pages; at++)
        known++;
    if (run->previous_count != known)
        return wrong(err, "previous images", run->previous_count, known);
    for (uint32_t at = 0; at < known; at++)
        if (memcmp(run->previous + (size_t)at * oracle->page_size, page_of(oracle, run->pages[at]),
                   oracle->page_size) != 0)
            return wrong(err, "the previous image is wrong of page", run->pages[at], run->pages[at]);
    return true;
}

static void stage(struct oracle *oracle, const struct database_run *run)
{
    size_t count = oracle->staged_count + run->count, size = oracle->page_size;

    oracle->staged = xrealloc(oracle->staged, count * size);
    oracle->staged_pages = xrealloc(oracle->staged_pages, count * sizeof(*oracle->staged_pages));
    memcpy(oracle->staged + oracle->staged_count * size, run->images, run->count * size);
    memcpy(oracle->staged_pages + oracle->staged_count, run->pages, run->count * sizeof(*run->pages));
    oracle->staged_count = count;
    oracle->staged_runs++;
    oracle->staged_change = run->rolling_change;
    oracle->staged_after = run->pages_after;
    oracle->is_staged = true;
}

static void resize(struct oracle *oracle, uint32_t pages)
{
    for (uint32_t page = pages + 1; page <= oracle->pages; page++)
        oracle->now ^= hash_of(oracle, page_of(oracle, page), page);
    if ((size_t)pages * oracle->page_size > oracle->capacity) {
        oracle->capacity = 2 * (size_t)pages * oracle->page_size;
        oracle->bytes = xrealloc(oracle->bytes, oracle->capacity);
    }
    if (pages > oracle->pages)
        memset(page_of(oracle, oracle->pages + 1), 0, (size_t)(pages - oracle->pages) * oracle->page_size);
    oracle->shrunk += pages < oracle->pages;
}

static bool apply(struct oracle *oracle, struct err *err)
{
    uint32_t before = oracle->pages;

    resize(oracle, oracle->staged_after);
    for (size_t at = 0; at < oracle->staged_count; at++) {
        uint32_t page = oracle->staged_pages[at];
        const uint8_t *image = oracle->staged + at * oracle->page_size;
        oracle->now ^= (page <= before ? hash_of(oracle, page_of(oracle, page), page) : 0) ^
                       hash_of(oracle, image, page);
        memcpy(page_of(oracle, page), image, oracle->page_size);
    }
    oracle->pages = oracle->staged_after;
    oracle->commits++;
    oracle->runs_max = oracle->staged_runs > oracle->runs_max ? oracle->staged_runs : oracle->runs_max;
    if ((oracle->begun ^ oracle->staged_change) != oracle->now)
        return wrong(err, "the rolling hash", oracle->begun ^ oracle->staged_change, oracle->now);
    unstage(oracle);
    return true;
}

static bool take(void *context, const struct database_run *run, struct err *err)
{
    struct oracle *oracle = context;

    if (oracle->slow_us > 0)
        (void)usleep(oracle->slow_us);
    if (oracle->is_full || (oracle->refuse_in > 0 && --oracle->refuse_in == 0)) {
        oracle->refused++;
        return err_set(err, oracle->is_full ? ERR_TRANSIENT : ERR_SYSTEM, "the oracle refuses");
    }
    if (run->is_first)
        unstage(oracle); /* a commit that begins again */
    else if (!oracle->is_staged)
        return wrong(err, "a commit begins with its run", 2, 1);
    if (!check_numbers(oracle, run, err) || !check_previous(oracle, run, err))
        return false;
    oracle->runs++;
    oracle->held_pages_max = run->count > oracle->held_pages_max ? run->count : oracle->held_pages_max;
    stage(oracle, run);
    return !run->is_last || apply(oracle, err);
}

bool oracle_begin(struct oracle *oracle, struct database *database)
{
    const struct database_frozen *frozen = database_frozen(database);
    struct database_sink sink = {.take = take, .context = oracle};
    size_t size = (size_t)frozen->page_count * frozen->page_size;
    struct err err = {0};

    *oracle = (struct oracle){.database = database,
                              .page_size = frozen->page_size,
                              .pages = frozen->page_count,
                              .bytes = xmalloc(size),
                              .capacity = size};
    if (!database_read_frozen(database, 0, oracle->bytes, size, &err)) {
        printf("#   the oracle did not begin: %s\n", err.text);
        return false;
    }
    oracle->begun = oracle->now = pagehash_of(oracle->bytes, size, oracle->page_size, 1);
    database_collect_begin(database, &sink);
    return true;
}

void oracle_end(struct oracle *oracle)
{
    database_collect_end(oracle->database);
    unstage(oracle);
    free(oracle->bytes);
    oracle->bytes = NULL;
}

bool oracle_agrees(struct oracle *oracle)
{
    const struct database_frozen *frozen = database_frozen(oracle->database);
    size_t size = (size_t)frozen->page_count * frozen->page_size;
    CLEANUP(freep) uint8_t *bytes = xmalloc(size);
    struct err err = {0};

    if (frozen->page_count != oracle->pages)
        return wrong(&err, "frozen pages", frozen->page_count, oracle->pages);
    if (!database_read_frozen(oracle->database, 0, bytes, size, &err))
        return wrong(&err, "reads of the frozen file", 0, 1);
    for (uint32_t page = 1; page <= oracle->pages; page++)
        if (memcmp(bytes + (size_t)(page - 1) * oracle->page_size, page_of(oracle, page),
                   oracle->page_size) != 0)
            return wrong(&err, "the copy differs in page", page, page);
    if (pagehash_of(bytes, size, oracle->page_size, 1) != oracle->now)
        return wrong(&err, "the rolling hash of the frozen file", oracle->now, 0);
    return true;
}

bool oracle_agrees_now(struct oracle *oracle)
{
    struct err err = {0};
    bool agrees;

    database_thaw(oracle->database);
    if (!scene_freeze(oracle->database, &err)) {
        printf("#   the oracle: %s\n", err.text);
        return false;
    }
    agrees = oracle_agrees(oracle);
    database_thaw(oracle->database);
    return agrees;
}
