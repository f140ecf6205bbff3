/* What a database holds more than was shipped of it, by its table of page hashes alone: found to the page,
 * handed over as one commit, and that commit makes of the old state the new one, byte for byte. */
#include "snapshot/difference.h"

#include "snapshot/apply.h"
#include "snapshot/data_body.h"
#include "snapshot/page_table.h"
#include "snapshot/pagehash.h"
#include "tests/double/scene.h"
#include "tests/double/scratch.h"
#include "tests/double/script.h"
#include "tests/tap.h"

#include "base/fs.h"

#include <fcntl.h>

enum { SPOOL_MAX = 64 << 20, INCARNATION = 7, WORKERS = 3 };

static const char table[] = "table";

struct bench {
    struct scratch disk;
    struct script application;
    struct database *database; /* frozen */
    struct base_database source;
    struct outbox *outbox;
    struct pool *pool;
    struct buf shipped;              /* the database when `before` was taken */
    struct manifest_database before; /* what was shipped, as `table` says too */
    struct difference difference;
    char path[128];
    struct err err;
};

static void read_frozen(struct bench *bench, struct buf *bytes)
{
    const struct database_frozen *frozen = database_frozen(bench->database);
    size_t size = (size_t)frozen->page_count * frozen->page_size;

    buf_reset(bytes);
    EXPECT_OK(database_read_frozen(bench->database, 0, buf_extend(bytes, size), size, &bench->err),
              &bench->err);
}

/* What is frozen now counts as shipped. */
static void ship(struct bench *bench)
{
    CLEANUP(page_hashes_freep) struct page_hashes *hashes = NULL;
    uint32_t page_size = database_frozen(bench->database)->page_size;

    read_frozen(bench, &bench->shipped);
    hashes = page_hashes_new(bench->shipped.size / page_size);
    for (uint64_t page = 1; page <= hashes->count; page++)
        page_hashes_set(
            hashes, page,
            pagehash_of(bench->shipped.bytes + (page - 1) * page_size, page_size, page_size, (uint32_t)page));
    bench->before = (struct manifest_database){
        .page_size = page_size, .pages = hashes->count, .rolling_hash = page_hashes_rolling(hashes)};
    EXPECT_OK(page_table_create(bench->disk.fd, table, hashes, &bench->err), &bench->err);
}

static bool set_up(struct bench *bench, uint64_t spool_max, uint32_t page_size)
{
    char pragmas[128];

    *bench = (struct bench){.shipped = BUF_INIT(1 << 30)};
    scratch_open(&bench->disk);
    scratch_mkdir(bench->disk.fd, "data");
    (void)snprintf(bench->path, sizeof(bench->path), "%s/data/db", bench->disk.path);
    (void)snprintf(pragmas, sizeof(pragmas), "PRAGMA page_size = %u; PRAGMA journal_mode = wal", page_size);
    script_start(&bench->application, bench->path);
    if (!script_run(&bench->application, pragmas) ||
        !script_run(&bench->application,
                    "CREATE TABLE t (id INTEGER PRIMARY KEY, v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                    "SELECT i+1 "
                    "FROM n WHERE i < 400) INSERT INTO t SELECT i, randomblob(900) FROM n") ||
        !scene_attach(bench->path, &bench->database, &bench->err) ||
        !scene_freeze(bench->database, &bench->err) ||
        !outbox_open(bench->disk.fd, spool_max, &bench->outbox, &bench->err) ||
        !pool_open(WORKERS, "work", &bench->pool, &bench->err))
        return false;
    bench->source = (struct base_database){"db", bench->database, INCARNATION};
    ship(bench);
    return true;
}

static void tear_down(struct bench *bench)
{
    difference_end(&bench->difference);
    pool_free(bench->pool);
    outbox_clear(bench->outbox);
    outbox_free(bench->outbox);
    database_detach(bench->database);
    script_stop(&bench->application);
    buf_clear(&bench->shipped);
    scratch_close(&bench->disk);
}

static bool change(struct bench *bench, const char *sql)
{
    database_thaw(bench->database);
    return script_run(&bench->application, sql) && scene_freeze(bench->database, &bench->err);
}

static bool begin(struct bench *bench, struct err *err)
{
    int fd = -1;

    if (!page_table_open(bench->disk.fd, table, &fd, err))
        return false;
    return difference_begin(&bench->difference, &bench->source, &bench->before, fd, err);
}

static bool find(struct bench *bench)
{
    return begin(bench, &bench->err) && difference_find(&bench->difference, bench->pool, &bench->err);
}

/* Exactly the pages whose bytes differ, and those that are new. */
static void expect_found(struct bench *bench)
{
    CLEANUP(buf_clearp) struct buf now = BUF_INIT(1 << 30);
    const struct difference *difference = &bench->difference;
    uint32_t size = difference->page_size;
    uint64_t count = 0;

    read_frozen(bench, &now);
    for (uint64_t page = 1; page <= difference->pages; page++) {
        size_t at = (size_t)(page - 1) * size;
        bool differs =
            page > bench->before.pages || memcmp(now.bytes + at, bench->shipped.bytes + at, size) != 0;
        bool found = difference->changed[(page - 1) / 8] & 1 << (page - 1) % 8;
        EXPECT(found == differs);
        count += differs;
    }
    EXPECT_INT(difference->changed_count, count);
    EXPECT(difference->rolling_hash == pagehash_of(now.bytes, now.size, size, 1));
}

/* What waits in the outbox, onto what was shipped: the number of runs. */
static unsigned apply_all(struct bench *bench, int copy_fd, struct apply_target *target)
{
    CLEANUP(apply_freep) struct apply *apply = apply_new();
    CLEANUP(buf_clearp) struct buf sections = BUF_INIT(1 << 30);
    uint64_t hashes[DELTA_PAGES_MAX], offset = outbox_begin(bench->outbox);
    struct data_section section = {0};
    unsigned runs = 0;
    bool ended = false;

    while (offset < outbox_end(bench->outbox))
        if (!EXPECT(outbox_read(bench->outbox, &offset, &sections, hashes, &bench->err)))
            return runs;
    EXPECT(fs_write_at(copy_fd, bench->shipped.bytes, bench->shipped.size, 0, &bench->err));
    for (CLEANUP(data_reader_freep) struct data_reader *reader =
             data_reader_new(sections.bytes, sections.size);
         ; runs++) {
        if (!EXPECT(data_next(reader, &section, &ended, &bench->err)) || ended)
            return runs;
        EXPECT(section.kind == DATA_RUN && section.run.incarnation == INCARNATION);
        EXPECT_OK(
            apply_run(apply, target, &section.run, section.run.frame, section.run.frame_size, &bench->err),
            &bench->err);
    }
}

static unsigned expect_applied(struct bench *bench)
{
    CLEANUP(buf_clearp) struct buf now = BUF_INIT(1 << 30), copy = BUF_INIT(1 << 30);
    CLEANUP(close_fdp) int fd = openat(bench->disk.fd, "copy", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct apply_target target = {.fd = fd,
                                  .page_size = bench->before.page_size,
                                  .pages = bench->before.pages,
                                  .rolling_hash = bench->before.rolling_hash};
    unsigned runs = apply_all(bench, fd, &target);

    read_frozen(bench, &now);
    EXPECT(target.rolling_hash == bench->difference.rolling_hash);
    EXPECT(fs_read_file(bench->disk.fd, "copy", &copy, &bench->err));
    EXPECT(copy.size == now.size && memcmp(copy.bytes, now.bytes, now.size) == 0);
    return runs;
}

TEST(a_database_that_is_as_it_was_has_no_difference)
{
    struct bench bench;

    REQUIRE(set_up(&bench, SPOOL_MAX, 4096));
    REQUIRE_OK(find(&bench), &bench.err);
    EXPECT_INT(bench.difference.changed_count, 0);
    EXPECT(bench.difference.rolling_hash == bench.before.rolling_hash);
    EXPECT_OK(difference_add(&bench.difference, bench.outbox, &bench.err), &bench.err);
    EXPECT_INT(outbox_begin(bench.outbox), outbox_end(bench.outbox));
    tear_down(&bench);
}

TEST(what_differs_is_found_to_the_page_and_leads_to_what_is_here)
{
    static const struct {
        const char *sql;
        int grows;
    } changes[] = {
        {"UPDATE t SET v = randomblob(900) WHERE id = 200", 0},
        {"UPDATE t SET v = randomblob(900) WHERE id % 9 = 0", 0},
        {"INSERT INTO t SELECT id + 1000, randomblob(2000) FROM t", 1},
        {"DELETE FROM t WHERE id > 100; VACUUM", -1},
        {"DELETE FROM t; VACUUM; CREATE TABLE u (x)", -1},
    };
    static const uint32_t page_sizes[] = {512, 4096, 65536};

    for (size_t size = 0; size < 3; size++) {
        for (size_t at = 0; at < sizeof(changes) / sizeof(changes[0]); at++) {
            struct bench bench;
            REQUIRE(set_up(&bench, SPOOL_MAX, page_sizes[size]));
            REQUIRE(change(&bench, changes[at].sql));
            REQUIRE_OK(find(&bench), &bench.err);
            EXPECT(changes[at].grows == 0 ||
                   (bench.difference.pages > bench.before.pages) == (changes[at].grows > 0));
            expect_found(&bench);
            EXPECT_OK(difference_add(&bench.difference, bench.outbox, &bench.err), &bench.err);
            EXPECT(expect_applied(&bench) > 0);
            tear_down(&bench);
        }
    }
}

/* One commit all the same: only its last run says that it is whole. */
TEST(more_pages_than_a_run_may_have_go_in_several)
{
    struct bench bench;

    REQUIRE(set_up(&bench, SPOOL_MAX, 512));
    REQUIRE(change(&bench, "UPDATE t SET v = randomblob(5000)"));
    REQUIRE_OK(find(&bench), &bench.err);
    EXPECT(bench.difference.changed_count > 2 * DELTA_PAGES_MAX);
    REQUIRE_OK(difference_add(&bench.difference, bench.outbox, &bench.err), &bench.err);
    EXPECT(expect_applied(&bench) > 2);
    tear_down(&bench);
}

/* A commit has a page at least: the first goes along, although it is as it was. */
TEST(a_database_that_only_lost_pages_at_its_end_is_told_too)
{
    static const uint64_t gone[] = {1234567, 7654321};
    struct bench bench;
    int fd = -1;

    REQUIRE(set_up(&bench, SPOOL_MAX, 4096));
    REQUIRE_OK(page_table_open(bench.disk.fd, table, &fd, &bench.err), &bench.err);
    REQUIRE_OK(page_table_write(fd, bench.before.pages + 1, gone, 2, &bench.err), &bench.err);
    (void)close(fd);
    bench.before.pages += 2;
    bench.before.rolling_hash ^= gone[0] ^ gone[1];
    REQUIRE_OK(find(&bench), &bench.err);
    EXPECT_INT(bench.difference.changed_count, 1);
    EXPECT(bench.difference.changed[0] & 1);
    EXPECT_OK(difference_add(&bench.difference, bench.outbox, &bench.err), &bench.err);
    EXPECT(outbox_end(bench.outbox) > outbox_begin(bench.outbox));
    tear_down(&bench);
}

/* A wrong value is seen wherever it stands: of a page that has changed, of one that hasn't, of one that is
 * gone. */
TEST(a_table_that_is_not_that_of_what_was_shipped_is_refused)
{
    for (int case_ = 0; case_ < 3; case_++) {
        struct bench bench;
        uint64_t page, value = 0;
        int fd = -1;
        REQUIRE(set_up(&bench, SPOOL_MAX, 4096));
        REQUIRE(change(&bench, case_ == 2 ? "DELETE FROM t; VACUUM"
                                          : "UPDATE t SET v = randomblob(900) WHERE id = 200"));
        page = case_ == 0 ? 1 : case_ == 1 ? 3 : bench.before.pages;
        REQUIRE_OK(page_table_open(bench.disk.fd, table, &fd, &bench.err), &bench.err);
        REQUIRE_OK(page_table_read(fd, page, &value, 1, &bench.err), &bench.err);
        value ^= 1u << 20;
        REQUIRE_OK(page_table_write(fd, page, &value, 1, &bench.err), &bench.err);
        (void)close(fd);
        EXPECT(!find(&bench));
        EXPECT_INT(bench.err.code, ERR_CORRUPT);
        EXPECT(strncmp(bench.err.text, "db: ", 4) == 0);
        tear_down(&bench);
    }
}

TEST(a_table_that_is_too_short_is_refused)
{
    struct bench bench;
    int fd = -1;

    REQUIRE(set_up(&bench, SPOOL_MAX, 4096));
    REQUIRE_OK(page_table_open(bench.disk.fd, table, &fd, &bench.err), &bench.err);
    REQUIRE_OK(page_table_resize(fd, bench.before.pages - 1, &bench.err), &bench.err);
    (void)close(fd);
    EXPECT(!find(&bench));
    EXPECT_INT(bench.err.code, ERR_CORRUPT);
    tear_down(&bench);
}

TEST(another_page_size_is_a_conflict)
{
    struct bench bench;

    REQUIRE(set_up(&bench, SPOOL_MAX, 4096));
    bench.before.page_size = 8192;
    EXPECT(!begin(&bench, &bench.err));
    EXPECT_INT(bench.err.code, ERR_CONFLICT);
    tear_down(&bench);
}

TEST(what_the_outbox_can_not_hold_is_transient)
{
    struct bench bench;

    REQUIRE(set_up(&bench, 64 << 10, 4096));
    REQUIRE(change(&bench, "UPDATE t SET v = randomblob(9000)"));
    REQUIRE_OK(find(&bench), &bench.err);
    EXPECT(!difference_add(&bench.difference, bench.outbox, &bench.err));
    EXPECT_INT(bench.err.code, ERR_TRANSIENT);
    tear_down(&bench);
}

TAP_MAIN()
