/* What a claimant does before its turn: for a predecessor that ends, and in a duel (protocol.md: H14, H15).
 */
#include "tests/unit/start_bench.h"

TEST(a_claimant_waits_for_a_draining_predecessor_and_for_no_other)
{
    struct bench bench;
    struct start later;
    enum start_verdict verdict = START_VOID;
    bool moved = true;
    uint64_t begun_ms;
    struct err err = {0};

    REQUIRE(set_up(&bench));
    REQUIRE_OK(take_over(&bench, &bench.start, &verdict, &err), &err);
    open_start(&bench, &later);
    later.pool = bench.pool;
    REQUIRE_OK(start_survey(&later, true, NULL, NULL, &err), &err);
    begun_ms = clock_monotonic_ms();
    REQUIRE_OK(start_wait(&later, &moved, &err), &err);
    EXPECT(clock_monotonic_ms() - begun_ms < 100);
    EXPECT(!moved);
    REQUIRE(append(&bench.start, RECORD_DRAIN, store_unix_ns(bench.mem) + 60 * NS_PER_SECOND));
    REQUIRE_OK(start_survey(&later, true, NULL, NULL, &err), &err);
    begun_ms = clock_monotonic_ms();
    REQUIRE_OK(start_wait(&later, &moved, &err), &err);
    EXPECT(clock_monotonic_ms() - begun_ms >= 400); /* TAKEOVER_WAIT: it never closed */
    EXPECT(!moved);
    begun_ms = clock_monotonic_ms();
    REQUIRE_OK(start_wait(&later, &moved, &err), &err); /* its patience is over */
    EXPECT(clock_monotonic_ms() - begun_ms < 100);
    later.patience = (struct patience){0};
    REQUIRE(append(&bench.start, RECORD_CLOSE, 0));
    REQUIRE_OK(start_wait(&later, &moved, &err), &err);
    EXPECT(moved);
    start_clear(&later);
    tear_down(&bench);
}

TEST(the_platforms_hint_lengthens_or_shortens_the_wait)
{
    struct bench bench;
    struct start later;
    enum start_verdict verdict = START_VOID;
    bool moved = true;
    uint64_t begun_ms;
    struct err err = {0};

    REQUIRE(set_up(&bench));
    REQUIRE_OK(take_over(&bench, &bench.start, &verdict, &err), &err);
    open_start(&bench, &later);
    later.pool = bench.pool;
    REQUIRE_OK(start_survey(&later, true, NULL, NULL, &err), &err);
    bench.config.predecessor = PREDECESSOR_ALIVE;
    begun_ms = clock_monotonic_ms();
    REQUIRE_OK(start_wait(&later, &moved, &err), &err);
    EXPECT(clock_monotonic_ms() - begun_ms >= 400);
    REQUIRE(append(&bench.start, RECORD_DRAIN, store_unix_ns(bench.mem) + 60 * NS_PER_SECOND));
    REQUIRE_OK(start_survey(&later, true, NULL, NULL, &err), &err);
    bench.config.predecessor = PREDECESSOR_GONE;
    begun_ms = clock_monotonic_ms();
    REQUIRE_OK(start_wait(&later, &moved, &err), &err);
    EXPECT(clock_monotonic_ms() - begun_ms < 100);
    start_clear(&later);
    tear_down(&bench);
}

static void count_warning(void *context, const char *text)
{
    int *warnings = context;

    EXPECT(strstr(text, "two containers share this prefix, or one crashes in a loop") != NULL);
    (*warnings)++;
}

/* Claims as often without a close, and gives the start that surveyed after that. */
static void fight(struct bench *bench, int opens, struct start *ret_start, int *warnings)
{
    enum start_verdict verdict = START_VOID;
    struct err err = {0};

    for (int at = 0; at < opens; at++) {
        struct start start;
        open_start(bench, &start);
        EXPECT_OK(take_over(bench, &start, &verdict, &err), &err);
        start_clear(&start);
    }
    open_start(bench, ret_start);
    ret_start->warn = count_warning;
    ret_start->context = warnings;
    EXPECT_OK(start_survey(ret_start, true, NULL, NULL, &err), &err);
}

static uint64_t waits_ms(struct start *start)
{
    uint64_t begun_ms = clock_monotonic_ms();
    bool moved = true;
    struct err err = {0};

    EXPECT_OK(start_wait(start, &moved, &err), &err);
    EXPECT(!moved);
    return clock_monotonic_ms() - begun_ms;
}

TEST(from_the_fourth_open_without_a_close_on_a_claimant_waits_and_says_why)
{
    static const struct {
        int opens;
        uint64_t wait_ms;
    } rows[] = {{2, 0}, {3, 1000}, {4, 2000}, {6, 2500}};

    for (size_t at = 0; at < sizeof(rows) / sizeof(rows[0]); at++) {
        struct bench bench;
        struct start later;
        int warnings = 0;
        uint64_t waited_ms;
        REQUIRE(set_up(&bench));
        bench.config.duel_wait_ms = 2500;
        fight(&bench, rows[at].opens, &later, &warnings);
        waited_ms = waits_ms(&later);
        EXPECT(waited_ms >= rows[at].wait_ms && waited_ms < rows[at].wait_ms + 400);
        EXPECT_INT(warnings, rows[at].wait_ms > 0);
        EXPECT(waits_ms(&later) < 400); /* once is enough */
        EXPECT_INT(warnings, rows[at].wait_ms > 0);
        start_clear(&later);
        tear_down(&bench);
    }
}

TEST(opens_beyond_the_four_of_the_head_are_counted_by_going_back)
{
    struct bench bench;
    struct start later;
    int warnings = 0;
    size_t before;

    REQUIRE(set_up(&bench));
    bench.config.duel_wait_ms = 60000;
    fight(&bench, 6, &later, &warnings);
    atomic_bool canceled = true;
    bool moved;
    struct err err = {0};
    later.canceled = &canceled;
    before = store_fault_count(bench.faulty, "get", "log/");
    EXPECT(!start_wait(&later, &moved, &err));
    EXPECT_INT(err.code, ERR_CANCELED);
    EXPECT_INT(store_fault_count(bench.faulty, "get", "log/") - before, 3);
    EXPECT_INT(warnings, 1);
    start_clear(&later);
    tear_down(&bench);
}

TEST(there_is_no_duel_with_a_predecessor_that_is_known_to_be_gone_or_has_closed)
{
    struct bench bench;
    struct start later;
    int warnings = 0;
    struct record_header remembered;

    REQUIRE(set_up(&bench));
    bench.config.duel_wait_ms = 8000;
    fight(&bench, 5, &later, &warnings);
    remembered = later.log.newest;
    later.remembered = &remembered;
    EXPECT(waits_ms(&later) < 400);
    later.remembered = NULL;
    bench.config.predecessor = PREDECESSOR_GONE;
    EXPECT(waits_ms(&later) < 400);
    bench.config.predecessor = PREDECESSOR_UNKNOWN;
    bench.config.duel_wait_ms = 0;
    EXPECT(waits_ms(&later) < 400);
    bench.config.duel_wait_ms = 8000;
    REQUIRE(append(&later, RECORD_CLOSE, 0));
    EXPECT(waits_ms(&later) < 400);
    EXPECT_INT(warnings, 0);
    start_clear(&later);
    tear_down(&bench);
}

TAP_MAIN()
