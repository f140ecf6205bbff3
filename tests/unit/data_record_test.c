/* From a database that an application writes to, through the outbox and the body of a record, onto a copy:
 * the copy is what the database was at that moment, byte for byte. */
#include "snapshot/data_record.h"

#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/apply.h"
#include "snapshot/pagehash.h"
#include "tests/double/scene.h"
#include "tests/double/scratch.h"
#include "tests/double/script.h"
#include "tests/double/store_mem.h"
#include "tests/tap.h"

#include <fcntl.h>

enum { SPOOL_MAX = 64 << 20, INCARNATION = 7, POSITION = 42 };

struct bench {
    struct scratch disk;
    struct script application;
    struct database *database;
    struct base_database source;
    struct outbox *outbox;
    struct store *mem;
    struct id owner;
    _Atomic uint64_t next_n;
    struct manifest state;
    uint64_t commits; /* in the records */
    int copy_fd;      /* as the state says */
    char path[128];
    struct err err;
};

/* The whole of a frozen database. */
static void read_all(struct database *database, struct buf *bytes)
{
    const struct database_frozen *frozen = database_frozen(database);
    size_t size = (size_t)frozen->page_count * frozen->page_size;
    struct err err = {0};

    buf_reset(bytes);
    EXPECT_OK(database_read_frozen(database, 0, buf_extend(bytes, size), size, &err), &err);
}

static void copy_begin(struct bench *bench)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 30);
    const struct database_frozen *frozen = database_frozen(bench->database);
    struct manifest_database *entry = manifest_add_database(&bench->state, "db");

    read_all(bench->database, &bytes);
    entry->incarnation = INCARNATION;
    entry->page_size = frozen->page_size;
    entry->pages = frozen->page_count;
    entry->rolling_hash = pagehash_of(bytes.bytes, bytes.size, frozen->page_size, 1);
    bench->copy_fd = openat(bench->disk.fd, "copy", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    EXPECT(fs_write_all(bench->copy_fd, bytes.bytes, bytes.size, &bench->err));
}

static bool set_up(struct bench *bench, uint64_t spool_max, const char *sql)
{
    *bench = (struct bench){.mem = store_mem_new(), .owner = id_random(), .next_n = 1, .copy_fd = -1};
    manifest_init(&bench->state);
    scratch_open(&bench->disk);
    scratch_mkdir(bench->disk.fd, "data");
    (void)snprintf(bench->path, sizeof(bench->path), "%s/data/db", bench->disk.path);
    script_start(&bench->application, bench->path);
    if (!script_run(&bench->application,
                    "PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, v);") ||
        !script_run(&bench->application, sql) || !scene_attach(bench->path, &bench->database, &bench->err) ||
        !scene_freeze(bench->database, &bench->err) ||
        !outbox_open(bench->disk.fd, spool_max, &bench->outbox, &bench->err))
        return false;
    bench->source = (struct base_database){"db", bench->database, INCARNATION};
    copy_begin(bench);
    outbox_follow(bench->outbox, &bench->source, bench->state.databases[0].rolling_hash);
    database_thaw(bench->database);
    return true;
}

static void tear_down(struct bench *bench)
{
    outbox_clear(bench->outbox);
    outbox_free(bench->outbox);
    database_detach(bench->database);
    script_stop(&bench->application);
    manifest_clear(&bench->state);
    store_free(bench->mem);
    close_fdp(&bench->copy_fd);
    scratch_close(&bench->disk);
}

/* Applies the sections as a restore would. */
static bool apply_body(struct bench *bench, const struct buf *body)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = data_reader_new(body->bytes, body->size);
    CLEANUP(apply_freep) struct apply *apply = apply_new();
    CLEANUP(buf_clearp) struct buf part = BUF_INIT(PART_SIZE_MAX);
    struct manifest_database *database = &bench->state.databases[0];
    struct apply_target target = {.fd = bench->copy_fd,
                                  .page_size = database->page_size,
                                  .pages = database->pages,
                                  .rolling_hash = database->rolling_hash};
    struct data_bulk bulks[64];
    uint32_t bulks_count = 0, loaded = UINT32_MAX;
    struct data_section section;

    for (bool ended = false;;) {
        const uint8_t *frame;
        size_t frame_size;
        if (!data_next(reader, &section, &ended, &bench->err))
            return false;
        if (ended)
            break;
        if (section.kind == DATA_BULK) {
            bulks[bulks_count++] = section.bulk;
            continue;
        }
        frame = section.run.frame;
        frame_size = section.run.frame_size;
        if (!frame) {
            if (loaded != section.run.bulk_section) {
                struct key key = key_part(POSITION, &bench->owner, bulks[section.run.bulk_section].n);
                buf_reset(&part);
                if (!store_get(bench->mem, key.text, &part, &bench->err))
                    return false;
                loaded = section.run.bulk_section;
            }
            frame = part.bytes + section.run.bulk_offset;
            frame_size = section.run.bulk_size;
        }
        if (!apply_run(apply, &target, &section.run, frame, frame_size, &bench->err))
            return false;
    }
    database->pages = target.pages;
    database->rolling_hash = target.rolling_hash;
    return true;
}

/* Collects, builds a record of all that waits, applies it, and compares with the database. *ret_bytes: of the
 * body. */
static void ship_and_compare(struct bench *bench, size_t *ret_bytes)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(RECORD_SIZE_MAX - 4096);
    CLEANUP(buf_clearp) struct buf wanted = BUF_INIT(1 << 30);
    CLEANUP(buf_clearp) struct buf copied = BUF_INIT(1 << 30);
    struct data_record_request request = {.store = bench->mem,
                                          .owner = &bench->owner,
                                          .position = POSITION,
                                          .next_n = &bench->next_n,
                                          .outbox = bench->outbox,
                                          .state = &bench->state};
    struct data_updates updates;
    struct stat status;

    REQUIRE_OK(database_collect(bench->database, NULL, &bench->err), &bench->err);
    REQUIRE_OK(scene_freeze(bench->database, &bench->err), &bench->err);
    request.until = outbox_end(bench->outbox);
    REQUIRE_OK(data_record_build(&request, &body, &updates, &bench->err), &bench->err);
    REQUIRE_OK(apply_body(bench, &body), &bench->err);
    bench->commits += updates.commits;
    EXPECT_INT(updates.count, 1);
    EXPECT_INT(updates.list[0].pages, bench->state.databases[0].pages);
    EXPECT(updates.list[0].rolling_hash == bench->state.databases[0].rolling_hash);
    outbox_release(bench->outbox, request.until);
    EXPECT_INT(outbox_begin(bench->outbox), outbox_end(bench->outbox));
    read_all(bench->database, &wanted);
    EXPECT_INT(fstat(bench->copy_fd, &status), 0);
    REQUIRE((size_t)status.st_size == wanted.size);
    EXPECT(fs_read_at(bench->copy_fd, buf_extend(&copied, wanted.size), wanted.size, 0, &bench->err));
    EXPECT(memcmp(copied.bytes, wanted.bytes, wanted.size) == 0);
    database_thaw(bench->database);
    *ret_bytes = body.size;
}

TEST(what_is_committed_arrives_byte_for_byte)
{
    struct bench bench;
    size_t bytes = 0;

    REQUIRE(set_up(&bench, SPOOL_MAX, "INSERT INTO t (v) VALUES (randomblob(5000));"));
    for (int round = 0; round < 20; round++) {
        char sql[200];
        (void)snprintf(
            sql, sizeof(sql),
            "INSERT INTO t (v) VALUES (randomblob(%d)); UPDATE t SET v = randomblob(900) WHERE id = %d;"
            "DELETE FROM t WHERE id = %d;",
            100 + 997 * round, round / 2 + 1, round / 3);
        REQUIRE(script_run(&bench.application, sql));
        ship_and_compare(&bench, &bytes);
    }
    REQUIRE(script_run(&bench.application, "DELETE FROM t; VACUUM;"));
    ship_and_compare(&bench, &bytes);
    tear_down(&bench);
}

TEST(many_commits_travel_in_one_record_and_a_small_change_is_small)
{
    struct bench bench;
    size_t bytes = 0;

    REQUIRE(set_up(&bench, SPOOL_MAX,
                   "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
                   "INSERT INTO t (v) SELECT hex(randomblob(200)) FROM n;"));
    for (int round = 0; round < 50; round++)
        REQUIRE(
            script_run(&bench.application, "UPDATE t SET v = v || 'x' WHERE id = 1 + abs(random()) % 5000;"));
    ship_and_compare(&bench, &bytes);
    EXPECT_INT(bench.commits, 50);
    printf("# 50 commits of one row each: %zu bytes\n", bytes);
    EXPECT(bytes < 50 * 600);
    tear_down(&bench);
}

/* 24 MiB that don't compress: several runs, and their deltas in parts. */
TEST(an_import_goes_into_parts)
{
    struct bench bench;
    size_t bytes = 0;

    REQUIRE(set_up(&bench, SPOOL_MAX, "INSERT INTO t (v) VALUES (1);"));
    REQUIRE(script_run(&bench.application,
                       "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24)"
                       "INSERT INTO t (v) SELECT randomblob(1048576) FROM n;"));
    ship_and_compare(&bench, &bytes);
    EXPECT(store_mem_count(bench.mem, "part/") >= 3);
    EXPECT(bytes < 1 << 20);
    REQUIRE(script_run(&bench.application, "UPDATE t SET v = 2 WHERE id = 1;"));
    ship_and_compare(&bench, &bytes);
    EXPECT(bytes < 4096);
    tear_down(&bench);
}

/* The application is not held up: its log keeps what the outbox has no room for. */
TEST(a_full_outbox_loses_nothing)
{
    struct bench bench;
    size_t bytes = 0;
    uint64_t end;

    REQUIRE(set_up(&bench, 3 << 20, "INSERT INTO t (v) VALUES (1);"));
    REQUIRE(script_run(&bench.application, "INSERT INTO t (v) VALUES (randomblob(2000000));"));
    REQUIRE_OK(database_collect(bench.database, NULL, &bench.err), &bench.err);
    end = outbox_end(bench.outbox);
    REQUIRE(script_run(&bench.application, "INSERT INTO t (v) VALUES (randomblob(2000000));"));
    REQUIRE(script_run(&bench.application, "INSERT INTO t (v) VALUES (randomblob(1000));"));
    EXPECT(!database_collect(bench.database, NULL, &bench.err));
    EXPECT_INT(bench.err.code, ERR_TRANSIENT);
    EXPECT_INT(outbox_end(bench.outbox), end); /* half a commit is none */
    bench.err = (struct err){0};
    {
        CLEANUP(buf_clearp) struct buf body = BUF_INIT(RECORD_SIZE_MAX - 4096);
        struct data_record_request request = {.store = bench.mem,
                                              .owner = &bench.owner,
                                              .position = POSITION,
                                              .next_n = &bench.next_n,
                                              .outbox = bench.outbox,
                                              .until = end,
                                              .state = &bench.state};
        struct data_updates updates;
        REQUIRE_OK(data_record_build(&request, &body, &updates, &bench.err), &bench.err);
        REQUIRE_OK(apply_body(&bench, &body), &bench.err);
        bench.commits += updates.commits;
        outbox_release(bench.outbox, end);
    }
    ship_and_compare(&bench, &bytes);
    EXPECT_INT(bench.commits, 3);
    tear_down(&bench);
}

TEST(what_does_not_follow_from_the_state_is_refused)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(RECORD_SIZE_MAX - 4096);
    struct bench bench;
    struct data_updates updates;
    struct data_record_request request;

    REQUIRE(set_up(&bench, SPOOL_MAX, "INSERT INTO t (v) VALUES (1);"));
    REQUIRE(script_run(&bench.application, "INSERT INTO t (v) VALUES (2);"));
    REQUIRE_OK(database_collect(bench.database, NULL, &bench.err), &bench.err);
    request = (struct data_record_request){.store = bench.mem,
                                           .owner = &bench.owner,
                                           .position = POSITION,
                                           .next_n = &bench.next_n,
                                           .outbox = bench.outbox,
                                           .until = outbox_end(bench.outbox),
                                           .state = &bench.state};
    bench.state.databases[0].incarnation = INCARNATION + 1;
    EXPECT(!data_record_build(&request, &body, &updates, &bench.err));
    EXPECT_INT(bench.err.code, ERR_CONFLICT);
    tear_down(&bench);
}

TAP_MAIN()
