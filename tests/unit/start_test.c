/* The start sequence: round trips, emptiness, probes, two claimants (protocol.md: H2, H7, H13, H24). */
#include "tests/unit/start_bench.h"

TEST(a_first_boot_makes_the_identity_probes_twice_and_owns_record_one)
{
    struct bench bench;
    enum start_verdict verdict = START_VOID;
    struct err err = {0};

    REQUIRE(set_up(&bench));
    REQUIRE_OK(take_over(&bench, &bench.start, &verdict, &err), &err);
    EXPECT_INT(verdict, START_OWNER);
    EXPECT(bench.start.store_empty);
    EXPECT(bench.start.fencing);
    EXPECT_INT(bench.start.log.newest.position, 1);
    EXPECT_INT(store_fault_count(bench.faulty, "create", "probe"), 2);
    EXPECT_INT(store_mem_count(bench.mem, IDENTITY_KEY), 1);
    tear_down(&bench);
}

TEST(a_later_start_takes_four_rounds_of_requests)
{
    struct bench bench;
    struct start later;
    enum start_verdict verdict = START_VOID;
    uint64_t begun_ms, took_ms;
    struct err err = {0};

    REQUIRE(set_up(&bench));
    REQUIRE_OK(take_over(&bench, &bench.start, &verdict, &err), &err);
    store_fault_add(bench.faulty, &(struct store_fault){.kind = FAULT_DELAY, .delay_ms = 100});
    open_start(&bench, &later);
    begun_ms = clock_monotonic_ms();
    REQUIRE_OK(take_over(&bench, &later, &verdict, &err), &err);
    took_ms = clock_monotonic_ms() - begun_ms;
    printf("# %d ms with 100 ms a request\n", (int)took_ms);
    EXPECT(took_ms >= 400 && took_ms < 490);
    EXPECT_INT(verdict, START_OWNER);
    EXPECT(!later.store_empty);
    EXPECT_INT(later.log.newest.position, 2);
    start_clear(&later);
    tear_down(&bench);
}

TEST(a_head_that_the_disk_remembers_is_not_fetched)
{
    struct bench bench;
    struct start later;
    enum start_verdict verdict = START_VOID;
    struct err err = {0};

    REQUIRE(set_up(&bench));
    REQUIRE_OK(take_over(&bench, &bench.start, &verdict, &err), &err);
    open_start(&bench, &later);
    later.remembered = &bench.start.log.newest;
    later.remembered_hash = &bench.start.log.newest_hash;
    later.pool = bench.pool;
    REQUIRE_OK(start_survey(&later, true, NULL, NULL, &err), &err);
    EXPECT_INT(store_fault_count(bench.faulty, "get", "log/"), 1); /* the confirmation of the first */
    EXPECT_INT(later.log.newest.position, 1);
    start_clear(&later);
    tear_down(&bench);
}

/* A store that accepts If-None-Match and doesn't look at it. */
static bool overwrite(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    return store->ops->put(store, key, bytes, size, err);
}

TEST(a_store_that_ignores_conditions_is_refused_before_the_takeover)
{
    struct bench bench;
    struct store_ops careless;
    struct err err = {0};

    REQUIRE(set_up(&bench));
    careless = *bench.mem->ops;
    careless.create = overwrite;
    bench.mem->ops = &careless;
    EXPECT(!start_survey(&bench.start, true, NULL, NULL, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(strstr(err.text, "If-None-Match") != NULL);
    EXPECT_INT(store_mem_count(bench.mem, "log/"), 0);
    bench.config.unsafe_no_fencing = true;
    REQUIRE_OK(start_survey(&bench.start, true, NULL, NULL, &err), &err);
    EXPECT(!bench.start.fencing);
    tear_down(&bench);
}

TEST(an_error_is_never_taken_for_emptiness)
{
    static const char *const operations[] = {"list", "get", "create"};

    for (size_t at = 0; at < 3; at++) {
        for (size_t skip = 0; skip < 3; skip++) {
            struct bench bench;
            struct err err = {0};
            REQUIRE(set_up(&bench));
            store_fault_add(bench.faulty, &(struct store_fault){.operation = operations[at],
                                                                .skip = skip,
                                                                .kind = FAULT_BEFORE,
                                                                .code = ERR_DENIED});
            if (!start_survey(&bench.start, true, NULL, NULL, &err))
                EXPECT_INT(err.code, ERR_DENIED);
            EXPECT_INT(store_mem_count(bench.mem, "log/"), 0);
            tear_down(&bench);
        }
    }
}

TEST(of_two_claimants_the_later_open_owns_and_the_earlier_is_fenced)
{
    struct bench bench;
    struct start other;
    enum start_verdict verdict = START_VOID;
    struct err err = {0};

    REQUIRE(set_up(&bench));
    open_start(&bench, &other);
    other.pool = bench.pool;
    REQUIRE_OK(start_survey(&bench.start, true, NULL, NULL, &err), &err);
    REQUIRE_OK(start_survey(&other, true, NULL, NULL, &err), &err);
    REQUIRE_OK(start_claim(&bench.start, &err), &err);
    REQUIRE_OK(start_claim(&other, &err), &err);
    EXPECT_INT(other.log.newest.position, 2);
    EXPECT(!start_confirm(&bench.start, &verdict, &err));
    EXPECT_INT(err.code, ERR_FENCED);
    REQUIRE_OK(start_confirm(&other, &verdict, &err), &err);
    EXPECT_INT(verdict, START_OWNER);
    start_clear(&other);
    tear_down(&bench);
}

TEST(an_open_in_a_hole_of_the_log_is_void)
{
    struct bench bench;
    struct start stale;
    enum start_verdict verdict = START_VOID;
    struct key hole = key_log(2);
    struct err err = {0};

    REQUIRE(set_up(&bench));
    REQUIRE_OK(take_over(&bench, &bench.start, &verdict, &err), &err);
    open_start(&bench, &stale);
    stale.pool = bench.pool;
    REQUIRE_OK(start_survey(&stale, true, NULL, NULL, &err), &err); /* it sees record 1 and stalls */
    REQUIRE(append(&bench.start, RECORD_CLOSE, 0));
    REQUIRE(append(&bench.start, RECORD_CLOSE, 0));
    REQUIRE_OK(store_delete(bench.mem, hole.text, &err), &err); /* packed and deleted */
    REQUIRE_OK(start_claim(&stale, &err), &err);
    EXPECT_INT(stale.log.newest.position, 2);
    verdict = START_OWNER;
    REQUIRE_OK(start_confirm(&stale, &verdict, &err), &err);
    EXPECT_INT(verdict, START_VOID);
    start_clear(&stale);
    tear_down(&bench);
}

TEST(records_without_an_identity_are_damage_not_a_first_boot)
{
    struct bench bench;
    enum start_verdict verdict = START_VOID;
    struct start later;
    struct err err = {0};

    REQUIRE(set_up(&bench));
    REQUIRE_OK(take_over(&bench, &bench.start, &verdict, &err), &err);
    REQUIRE_OK(store_delete(bench.mem, IDENTITY_KEY, &err), &err);
    open_start(&bench, &later);
    later.pool = bench.pool;
    EXPECT(!start_survey(&later, true, NULL, NULL, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, IDENTITY_KEY) != NULL);
    start_clear(&later);
    tear_down(&bench);
}

TEST(a_future_format_names_the_remedy)
{
    struct bench bench;
    static const char future[] =
        "{\"format\":2,\"lineage\":\"00112233445566778899aabbccddeeff\",\"created\":\"2030-01-01T00:00:"
        "00Z\"}";
    struct err err = {0};

    REQUIRE(set_up(&bench));
    REQUIRE_OK(store_put(bench.mem, IDENTITY_KEY, future, sizeof(future) - 1, &err), &err);
    EXPECT(!start_survey(&bench.start, true, NULL, NULL, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, "newer holdfast") != NULL);
    EXPECT_INT(store_mem_count(bench.mem, "log/"), 0);
    tear_down(&bench);
}

TAP_MAIN()
