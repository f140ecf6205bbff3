/* Tables of page hashes beside a model of them. No page is needed: the tables take any number for a hash. */
#ifndef TESTS_UNIT_PAGE_TABLES_BENCH_H
#define TESTS_UNIT_PAGE_TABLES_BENCH_H

#include "snapshot/page_tables.h"

#include "base/fs.h"
#include "snapshot/pagehash.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

#include <sys/stat.h>

enum { DATABASES = 2, PAGE = 4096, PAGES_MAX = 5000, DATA = 7 };

static uint64_t state = 88172645463325252u;

/* xorshift64 */
static inline uint64_t any(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 8) % below;
}

struct bench {
    struct scratch disk;
    struct page_tables tables;
    struct manifest model; /* with hashes */
    uint64_t position;     /* of the newest record that changed data */
    unsigned warnings;
};

static inline void note_warning(void *context, const char *text)
{
    struct bench *bench = context;

    bench->warnings++;
    EXPECT(strstr(text, "shipping goes on") != NULL);
}

static inline void begin(struct bench *bench)
{
    page_tables_init(&bench->tables, bench->disk.fd, note_warning, bench);
}

static inline void end(struct bench *bench)
{
    page_tables_clear(&bench->tables);
}

static inline void sum_up(struct manifest *model)
{
    for (size_t at = 0; at < model->databases_count; at++) {
        model->databases[at].pages = model->databases[at].hashes->count;
        model->databases[at].rolling_hash = page_hashes_rolling(model->databases[at].hashes);
    }
}

static inline struct page_hashes *copy_hashes(const struct page_hashes *hashes)
{
    struct page_hashes *copy = page_hashes_new(hashes->count);

    for (uint64_t page = 1; page <= hashes->count; page++)
        page_hashes_set(copy, page, hashes->values[page - 1]);
    return copy;
}

static inline void copy_model(const struct manifest *model, struct manifest *copy)
{
    manifest_init(copy);
    for (size_t at = 0; at < model->databases_count; at++) {
        struct manifest_database *database = manifest_add_database(copy, model->databases[at].path);
        char *path = database->path;
        *database = model->databases[at];
        database->path = path;
        database->hashes = copy_hashes(model->databases[at].hashes);
    }
}

/* Tables of a model with so many pages each. */
static inline void set_up(struct bench *bench, uint64_t pages)
{
    *bench = (struct bench){.position = DATA};
    scratch_open(&bench->disk);
    REQUIRE(mkdirat(bench->disk.fd, ".holdfast", 0700) == 0);
    begin(bench);
    for (int at = 0; at < DATABASES; at++) {
        struct manifest_database *database =
            manifest_add_database(&bench->model, at == 0 ? "a.sqlite3" : "b.sqlite3");
        database->incarnation = 3;
        database->page_size = PAGE;
        database->hashes = page_hashes_new(pages);
        for (uint64_t page = 1; page <= pages; page++)
            page_hashes_set(database->hashes, page, any(UINT64_MAX));
    }
    sum_up(&bench->model);
    {
        struct manifest copy;
        copy_model(&bench->model, &copy);
        page_tables_replace(&bench->tables, &copy);
        EXPECT(!copy.databases[0].hashes && !copy.databases[1].hashes);
        manifest_clear(&copy);
    }
    EXPECT(bench->tables.work);
}

static inline void tear_down(struct bench *bench)
{
    end(bench);
    manifest_clear(&bench->model);
    scratch_close(&bench->disk);
}

static inline void restart(struct bench *bench)
{
    end(bench);
    begin(bench);
    page_tables_load(&bench->tables, &bench->model, bench->position);
}

/* Value by value. */
static inline void expect_tables(const struct bench *bench)
{
    REQUIRE(bench->tables.work);
    for (size_t at = 0; at < bench->model.databases_count; at++) {
        const struct manifest_database *database = &bench->model.databases[at];
        CLEANUP(freep) uint64_t *found = xcalloc(database->pages, sizeof(*found));
        CLEANUP(close_fdp) int fd = -1;
        uint64_t rolling = 0;
        struct err err = {0};
        REQUIRE_OK(page_tables_open(&bench->tables, database, &fd, &err), &err);
        REQUIRE_OK(page_table_rolling(fd, database->pages, &rolling, &err), &err);
        EXPECT(rolling == database->rolling_hash);
        for (uint64_t page = 1; page <= database->pages; page += 1000) {
            uint64_t left = database->pages - page + 1;
            REQUIRE_OK(page_table_read(fd, page, found + page - 1, left < 1000 ? left : 1000, &err), &err);
        }
        EXPECT(memcmp(found, database->hashes->values, database->pages * sizeof(*found)) == 0);
    }
}

/* A commit of a database of the model, which follows: some pages, and all by which it grows. */
static inline void commit(struct page_journal *journal, struct manifest_database *database,
                          uint64_t pages_after)
{
    uint32_t lock_page = pagehash_lock_page(database->page_size), pages[DELTA_PAGES_MAX];
    uint64_t hashes[DELTA_PAGES_MAX], before = database->hashes->count, odds = before / 20 + 1;
    struct data_run run = {.path = database->path,
                           .incarnation = database->incarnation,
                           .page_size = database->page_size,
                           .pages_after = (uint32_t)pages_after,
                           .pages = pages};

    page_hashes_resize(database->hashes, pages_after);
    for (uint64_t page = 1; page <= pages_after; page++) {
        if (page != lock_page && (page == 1 || page > before || any(odds) == 0)) {
            pages[run.count] = (uint32_t)page;
            hashes[run.count] = any(UINT64_MAX);
            page_hashes_set(database->hashes, page, hashes[run.count++]);
        }
        run.is_last = page == pages_after;
        if (run.count == DELTA_PAGES_MAX || run.is_last) {
            if (run.count > 0)
                page_journal_add(journal, &run, hashes);
            run.count = 0;
        }
    }
}

/* A record of several commits, in the model and in the journal. */
static inline void build(struct bench *bench, unsigned commits)
{
    struct page_journal *journal = page_tables_begin(&bench->tables, bench->position + 1);

    REQUIRE(journal);
    for (unsigned at = 0; at < commits; at++) {
        struct manifest_database *database = &bench->model.databases[any(DATABASES)];
        uint64_t pages = database->hashes->count;
        static const int64_t changes[] = {0, 0, 0, 1, 40, -1, -30, 1500};
        int64_t change = changes[any(8)];
        pages = (int64_t)pages + change < 1 || pages + (uint64_t)change > PAGES_MAX
                    ? pages
                    : pages + (uint64_t)change;
        commit(journal, database, pages);
    }
    page_tables_seal(&bench->tables);
    bench->position++;
    sum_up(&bench->model);
}

#endif
