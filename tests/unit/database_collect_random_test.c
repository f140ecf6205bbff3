/* Random transactions, each seed the same ones: inserts of any size, updates, deletes, savepoints, rollbacks
 * and vacuums, with the file frozen for some of them. */
#include "snapshot/database.h"

#include "tests/double/collecting.h"
#include "tests/tap.h"

enum { TEXT_MAX = 2000 };

static uint32_t next_random(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

static void random_statement(uint64_t *seed, bool savepoints, char *sql, size_t size)
{
    uint32_t many = next_random(seed, 60) + 1, id = next_random(seed, 3000), bytes = next_random(seed, 4000);

    switch (next_random(seed, savepoints ? 8 : 7)) {
    case 0:
    case 1:
    case 2:
        (void)snprintf(sql, size,
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %u)"
                       "INSERT INTO t(body, tag) SELECT randomblob(%u), hex(randomblob(8)) FROM n;",
                       many, bytes);
        break;
    case 3:
    case 4:
        (void)snprintf(sql, size, "UPDATE t SET body = randomblob(%u) WHERE id BETWEEN %u AND %u;", bytes, id,
                       id + many);
        break;
    case 5:
        (void)snprintf(sql, size, "UPDATE t SET tag = hex(randomblob(9)) WHERE id %% 61 = %u;", many);
        break;
    case 6:
        (void)snprintf(sql, size, "DELETE FROM t WHERE id BETWEEN %u AND %u;", id, id + 5 * many);
        break;
    default: /* SQLite's cache must not overflow with these, see database_collect_shape_test.c */
        (void)snprintf(sql, size, "SAVEPOINT s; DELETE FROM t WHERE id %% 5 = %u; ROLLBACK TO s; RELEASE s;",
                       many % 5);
        break;
    }
}

/* A transaction of up to six statements, now and then rolled back, or a vacuum. */
static void random_transaction(uint64_t *seed, bool savepoints, char *sql, size_t size)
{
    uint32_t statements = next_random(seed, 6) + 1, kind = next_random(seed, 40);
    size_t at;

    if (kind < 2) {
        (void)snprintf(sql, size, kind == 0 ? "VACUUM" : "PRAGMA incremental_vacuum(20)");
        return;
    }
    at = (size_t)snprintf(sql, size, "BEGIN;");
    for (; statements > 0; statements--) {
        random_statement(seed, savepoints, sql + at, size - at);
        at += strlen(sql + at);
    }
    (void)snprintf(sql + at, size - at, kind < 5 ? "ROLLBACK" : "INSERT INTO log(what) VALUES('x'); COMMIT");
}

/* Now and then the other connection begins or ends a read, and collecting begins anew. */
static bool disturb(struct collecting *collecting, struct script *reader, uint64_t *seed, bool *reads)
{
    if (next_random(seed, 6) == 0) {
        *reads = !*reads;
        return script_run(reader, *reads ? "BEGIN; SELECT count(*) FROM t" : "COMMIT");
    }
    if (next_random(seed, 10) > 0)
        return true;
    if (!oracle_agrees_now(&collecting->oracle) || !scene_freeze(collecting->database, &collecting->err))
        return false;
    oracle_end(&collecting->oracle);
    return oracle_begin(&collecting->oracle, collecting->database);
}

static bool follow_random_transactions(struct collecting *collecting, struct script *reader, uint64_t *seed,
                                       bool savepoints)
{
    unsigned transactions = reader ? 60 : 150; /* each freeze waits for the reader first */
    char sql[TEXT_MAX];
    bool reads = false;

    for (unsigned at = 0; at < transactions; at++) {
        if (reader && !disturb(collecting, reader, seed, &reads))
            return false;
        random_transaction(seed, savepoints, sql, sizeof(sql));
        if (next_random(seed, 3) == 0 ? !script_run(&collecting->script, sql)
                                      : !collecting_run(collecting, sql))
            return false;
        if (next_random(seed, 12) == 0 && !oracle_agrees_now(&collecting->oracle))
            return false;
        if (next_random(seed, 8) == 0)
            database_thaw(collecting->database);
        if (next_random(seed, 8) == 0) { /* stays frozen for some transactions */
            database_thaw(collecting->database);
            if (!scene_freeze(collecting->database, &collecting->err))
                return false;
        }
    }
    return true;
}

static void follow_at_random(uint64_t seed, const char *pragmas, bool with_reader)
{
    struct collecting collecting;
    struct script reader;

    REQUIRE(collecting_begin(&collecting, pragmas));
    if (with_reader)
        script_start(&reader, sample_path("db"));
    EXPECT(follow_random_transactions(&collecting, with_reader ? &reader : NULL, &seed,
                                      strstr(pragmas, "cache_spill=0") != NULL));
    if (with_reader)
        script_stop(&reader);
    printf("# %u commits, %u smaller than before, in %u runs\n", collecting.oracle.commits,
           collecting.oracle.shrunk, collecting.oracle.runs);
    EXPECT(collecting_end(&collecting));
}

TEST(random_transactions_on_pages_of_512_bytes_with_auto_vacuum)
{
    follow_at_random(1, "PRAGMA page_size=512; PRAGMA auto_vacuum=FULL; PRAGMA cache_spill=0", false);
}

TEST(random_transactions_on_pages_of_1024_bytes_with_a_small_cache)
{
    follow_at_random(2, "PRAGMA page_size=1024; PRAGMA cache_size=8; PRAGMA cache_spill=8", false);
}

TEST(random_transactions_on_pages_of_4096_bytes)
{
    follow_at_random(3, "PRAGMA page_size=4096; PRAGMA cache_spill=0", false);
}

TEST(random_transactions_on_pages_of_8192_bytes_with_incremental_vacuum)
{
    follow_at_random(4, "PRAGMA page_size=8192; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA cache_spill=0", false);
}

TEST(random_transactions_on_pages_of_65536_bytes)
{
    follow_at_random(5, "PRAGMA page_size=65536; PRAGMA cache_spill=0", false);
}

TEST(random_transactions_beside_a_reader_on_pages_of_512_bytes_with_auto_vacuum)
{
    follow_at_random(6, "PRAGMA page_size=512; PRAGMA auto_vacuum=FULL; PRAGMA cache_spill=0", true);
}

TEST(random_transactions_beside_a_reader_on_pages_of_4096_bytes)
{
    follow_at_random(7, "PRAGMA page_size=4096; PRAGMA cache_spill=0", true);
}

TEST(random_transactions_beside_a_reader_on_pages_of_65536_bytes)
{
    follow_at_random(8, "PRAGMA page_size=65536; PRAGMA cache_spill=0", true);
}

TAP_MAIN()
