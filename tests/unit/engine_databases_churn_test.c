/* Databases that come and go faster than they can be shipped, or looked at. */
#include "base/fs.h"
#include "tests/unit/databases_life.h"

#include <poll.h>

enum { OTHERS = 5, ROUNDS = 9, LARGE_BYTES = 100000, REPLACEMENTS = 300 };

/* Another attempt to ship has failed: what has happened until now is in the list of databases, and in no
 * record. */
static void await_attempt(struct life *life)
{
    store_fault_await(life->faulty, "put", "blob/", store_fault_count(life->faulty, "put", "blob/") + 2);
}

/* D deletes other.db, R replaces it, M makes it. Nothing reaches the store until the end. */
static void expect_steps(const char *steps)
{
    CLEANUP(freep) char *text = xcalloc(1, LARGE_BYTES + 1);
    int64_t due = 3;
    struct life life;

    begin(&life);
    make(&life, "other.db", 3, NULL);
    REQUIRE(life_settle(&life));
    store_fault_add(life.faulty,
                    &(struct store_fault){
                        .operation = "put", .key = "blob/", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    memset(text, 'x', LARGE_BYTES);
    scratch_write(life.disk.fd, "large", text);
    for (const char *step = steps; *step; step++) {
        due = *step == 'D' ? 0 : step - steps + 4;
        if (*step == 'D')
            delete (&life, "other.db");
        if (*step == 'R')
            replace(&life, "other.db", (uint64_t)due, NULL);
        if (*step == 'M')
            make(&life, "other.db", (uint64_t)due, NULL);
        await_attempt(&life);
    }
    store_fault_clear(life.faulty);
    REQUIRE(life_settle(&life));
    life_cut_off(&life);
    life_wipe(&life);
    REQUIRE(life_begin(&life));
    EXPECT_INT(value(&life, "other.db"), due);
    EXPECT_INT(life_value(life.disk.path), COMMITS);
    end(&life);
}

TEST(while_nothing_can_be_shipped_a_database_may_come_and_go)
{
    static const char *const steps[] = {"DM", "RD", "DMD", "RR", "DMDM"};

    for (size_t at = 0; at < sizeof(steps) / sizeof(steps[0]); at++)
        expect_steps(steps[at]);
}

/* Between any two steps with which it is looked at, converted and attached another file may take its name. */
TEST(one_that_is_replaced_all_the_time_is_never_given_up)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);
    struct life life;
    struct err err = {0};

    begin(&life);
    REQUIRE(writer_make(sample_path("small"), 1, NULL));
    REQUIRE_OK(fs_read_file(AT_FDCWD, sample_path("small"), &bytes, &err), &err);
    for (unsigned round = 0; round < REPLACEMENTS; round++) {
        scratch_write_bytes(life.disk.fd, "beside", bytes.bytes, bytes.size);
        delete (&life, "other.db");
        EXPECT_INT(renameat(life.disk.fd, "beside", life.disk.fd, "other.db"), 0);
        (void)poll(NULL, 0, (int)(round % 7));
    }
    REQUIRE(life_settle(&life));
    EXPECT(!life_warned(&life, "not protected"));
    begin_again(&life);
    EXPECT_INT(value(&life, "other.db"), 1);
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
