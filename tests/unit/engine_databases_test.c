/* Databases that come, go and take each other's place while an engine ships: each is in the next record, and
 * no base has to be cut for it. */
#include "base/thread.h"
#include "tests/double/life_story.h"
#include "tests/double/sample.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { COMMITS = 150, OTHERS = 5, ROUNDS = 12, MODE_BITS = 07777 };

static size_t bases(const struct life *life)
{
    return store_fault_count(life->faulty, "put", "base/");
}

/* A database of several hundred KB, all of it shipped. */
static void begin(struct life *life)
{
    life_set_up(life);
    REQUIRE(life_begin(life));
    REQUIRE(life_commit(life, COMMITS));
    engine_answered(life->engine);
    REQUIRE(life_settle(life));
}

static const char *path_of(const struct life *life, const char *name)
{
    static char paths[2][SAMPLE_PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 2];

    (void)snprintf(path, SAMPLE_PATH_MAX, "%s/%s", life->disk.path, name);
    return path;
}

static void make(const struct life *life, const char *name, uint64_t commits, const char *sql)
{
    REQUIRE(writer_make(path_of(life, name), commits, sql));
}

/* With all that SQLite has beside it. */
static void delete (const struct life *life, const char *name)
{
    static const char *const suffixes[] = {"-shm", "-wal", ""};

    for (size_t at = 0; at < 3; at++) {
        char beside[SAMPLE_PATH_MAX];
        (void)snprintf(beside, sizeof(beside), "%s%s", name, suffixes[at]);
        (void)unlinkat(life->disk.fd, beside, 0);
    }
}

/* As people replace a database: the new one is complete when it takes the name. */
static void replace(const struct life *life, const char *name, uint64_t commits, const char *sql)
{
    static unsigned count;
    char outside[32];

    (void)snprintf(outside, sizeof(outside), "replacement%u", count++);
    REQUIRE(writer_make(sample_path(outside), commits, sql));
    delete (life, name);
    EXPECT_INT(rename(sample_path(outside), path_of(life, name)), 0);
}

static int64_t value(const struct life *life, const char *name)
{
    return faccessat(life->disk.fd, name, F_OK, 0) == 0 ? sample_value(path_of(life, name)) : 0;
}

static uint32_t mode_of(const struct life *life, const char *name)
{
    struct stat status = {0};

    EXPECT_INT(fstatat(life->disk.fd, name, &status, 0), 0);
    return status.st_mode & MODE_BITS;
}

static void begin_again(struct life *life)
{
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_wipe(life);
    REQUIRE(life_begin(life));
    engine_answered(life->engine);
}

static void end(struct life *life)
{
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

TEST(one_that_appears_comes_with_a_record)
{
    struct life life;
    size_t before;

    begin(&life);
    before = bases(&life);
    make(&life, "other.db", 3, NULL);
    EXPECT_INT(chmod(path_of(&life, "other.db"), 0640), 0);
    REQUIRE(life_settle(&life));
    EXPECT_INT(bases(&life), before);
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 3);
    EXPECT_INT(mode_of(&life, "other.db"), 0640);
    EXPECT_INT(life_value(life.disk.path), COMMITS);
    end(&life);
}

TEST(its_commits_follow)
{
    struct life life;
    struct writer writer = {0};
    struct writer_plan plan;
    size_t before;

    begin(&life);
    before = bases(&life);
    plan = writer_plan_for(path_of(&life, "other.db"), 0);
    plan.commits_max = 10;
    REQUIRE(writer_start(&writer, &plan) && writer_finish(&writer));
    REQUIRE(life_settle(&life));
    REQUIRE(writer_start(&writer, &plan) && writer_finish(&writer) && life_commit(&life, 5));
    REQUIRE(life_settle(&life));
    EXPECT_INT(bases(&life), before);
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 20);
    EXPECT_INT(life_value(life.disk.path), COMMITS + 5);
    end(&life);
}

TEST(one_that_is_replaced_begins_anew_and_one_that_is_deleted_is_gone)
{
    struct life life;
    size_t before;

    begin(&life);
    before = bases(&life);
    make(&life, "other.db", 3, NULL);
    make(&life, "third.db", 4, NULL);
    REQUIRE(life_settle(&life));
    replace(&life, "other.db", 7, "PRAGMA page_size=512; VACUUM");
    delete (&life, "third.db");
    REQUIRE(life_settle(&life));
    EXPECT_INT(bases(&life), before);
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 7);
    EXPECT_INT(value(&life, "third.db"), 0);
    make(&life, "third.db", 2, NULL);
    REQUIRE(life_settle(&life));
    begin_again(&life);
    EXPECT_INT(value(&life, "third.db"), 2);
    end(&life);
}

TEST(where_most_bytes_are_new_a_base_is_cut)
{
    struct life life;
    size_t before;

    begin(&life);
    before = bases(&life);
    replace(&life, "other.db", 3 * COMMITS, NULL);
    REQUIRE(life_settle(&life));
    EXPECT(bases(&life) > before);
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 3 * COMMITS);
    EXPECT_INT(life_value(life.disk.path), COMMITS);
    end(&life);
}

TEST(a_start_on_the_same_disk_has_nothing_to_fetch_or_ship)
{
    struct life life;
    size_t fetched, stored;

    begin(&life);
    make(&life, "other.db", 3, NULL);
    REQUIRE(life_settle(&life));
    life_cut_off(&life);
    fetched = store_fault_count(life.faulty, "get", "part/");
    stored = store_fault_count(life.faulty, "put", "part/");
    REQUIRE(life_begin(&life));
    engine_answered(life.engine);
    EXPECT_INT(store_fault_count(life.faulty, "get", "part/"), fetched);
    REQUIRE(life_commit(&life, 1));
    REQUIRE(life_settle(&life));
    EXPECT_INT(store_fault_count(life.faulty, "put", "part/"), stored);
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 3);
    EXPECT_INT(life_value(life.disk.path), COMMITS + 1);
    end(&life);
}

/* The image is in a record whose answer was lost, or that was refused for a while. */
TEST(a_store_that_fails_at_that_record_gets_it_again)
{
    static const enum fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER};

    for (size_t at = 0; at < 2; at++) {
        struct life life;
        size_t before;
        begin(&life);
        before = bases(&life);
        store_fault_add(
            life.faulty,
            &(struct store_fault){
                .operation = "create", .key = "log/", .times = 3, .kind = kinds[at], .code = ERR_TRANSIENT});
        make(&life, "other.db", 3, NULL);
        REQUIRE(life_commit(&life, 2));
        REQUIRE(life_settle(&life));
        EXPECT_INT(bases(&life), before);
        begin_again(&life);
        EXPECT_INT(value(&life, "other.db"), 3);
        EXPECT_INT(life_value(life.disk.path), COMMITS + 2);
        end(&life);
    }
}

/* It was begun before the database came, and does not hold it; the records behind it do. */
TEST(a_base_that_is_cut_meanwhile_goes_on)
{
    enum engine_answer answer;
    struct engine_base base;
    uint64_t request = 0;
    struct life life;
    struct err err = {0};

    begin(&life);
    make(&life, "old.db", 2, NULL);
    REQUIRE(life_settle(&life));
    store_fault_add(life.faulty, &(struct store_fault){
                                     .operation = "put", .key = "part/", .times = 1, .kind = FAULT_HOLD});
    REQUIRE_OK(engine_ask_base(life.engine, &request, &err), &err);
    store_fault_await(life.faulty, "put", "part/", 1);
    make(&life, "other.db", 3, NULL);
    REQUIRE(life_settle(&life));
    store_fault_release(life.faulty);
    while ((answer = engine_answer_base(life.engine, request, &base)) == ENGINE_ANSWER_WAITS)
        (void)event_wait(engine_event_fd(life.engine), 20);
    EXPECT_INT(answer, ENGINE_ANSWER_BASE);
    REQUIRE(life_commit(&life, 1));
    REQUIRE(life_settle(&life));
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 3);
    EXPECT_INT(value(&life, "old.db"), 2);
    EXPECT_INT(life_value(life.disk.path), COMMITS + 1);
    end(&life);
}

/* What each of them says; 0: it is not there. */
struct oracle {
    int64_t main;
    int64_t others[OTHERS];
};

static const char *other_name(unsigned other)
{
    static char names[OTHERS][16];

    (void)snprintf(names[other], sizeof(names[other]), other % 2 ? "%u.db" : "tenants/%u.db", other);
    return names[other];
}

static void change_one(const struct life *life, unsigned *random, struct oracle *oracle)
{
    unsigned other = (unsigned)rand_r(random) % OTHERS, commits = 1 + (unsigned)rand_r(random) % 4;
    const char *name = other_name(other);
    int64_t *now = &oracle->others[other];

    switch (rand_r(random) % 3) {
    case 0:
        delete (life, name);
        *now = 0;
        return;
    case 1:
        replace(life, name, commits, commits % 2 ? NULL : "PRAGMA page_size=1024; VACUUM");
        *now = commits;
        return;
    default:
        make(life, name, commits, NULL); /* or so many more */
        *now += commits;
    }
}

static void expect_oracle(const struct life *life, const struct oracle *oracle)
{
    EXPECT_INT(life_value(life->disk.path), oracle->main);
    for (unsigned other = 0; other < OTHERS; other++)
        EXPECT_INT(value(life, other_name(other)), oracle->others[other]);
}

TEST(whatever_comes_and_goes_is_there_as_it_was)
{
    struct oracle oracle = {.main = COMMITS};
    unsigned random = 1;
    struct life life;
    size_t before;

    begin(&life);
    EXPECT_INT(mkdirat(life.disk.fd, "tenants", 0755), 0);
    before = bases(&life);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned change = 1 + round % 3; change > 0; change--)
            change_one(&life, &random, &oracle);
        REQUIRE(life_commit(&life, 1));
        oracle.main++;
        REQUIRE(life_settle(&life));
        if (round % 3 == 0) {
            life_cut_off(&life);
            if (round % 2 == 0)
                life_wipe(&life);
            REQUIRE(life_begin(&life));
            engine_answered(life.engine);
            expect_oracle(&life, &oracle);
        }
    }
    EXPECT_INT(bases(&life), before);
    begin_again(&life);
    expect_oracle(&life, &oracle);
    end(&life);
}

TAP_MAIN()
