/* When a new base is due. */
#include "snapshot/restore_budget.h"
#include "tests/tap.h"

enum { BUDGET_MS = 10000 };
#define GB UINT64_C(1000000000)

TEST(a_few_records_are_no_reason)
{
    struct restore_work work = {.state_bytes = GB, .objects = 100, .record_bytes = 10000000, .commits = 5000};

    EXPECT(!restore_exceeds_budget(&work, BUDGET_MS));
}

TEST(records_commits_and_bytes_each_exceed_the_budget_in_the_end)
{
    struct restore_work records = {.state_bytes = GB, .objects = 2000};
    struct restore_work commits = {.state_bytes = GB, .commits = 400000};
    struct restore_work bytes = {.state_bytes = GB, .record_bytes = GB};

    EXPECT(restore_exceeds_budget(&records, BUDGET_MS));
    EXPECT(restore_exceeds_budget(&commits, BUDGET_MS));
    EXPECT(restore_exceeds_budget(&bytes, BUDGET_MS));
}

/* 100 GB take minutes however few records follow; cutting the next base at once would only cost. */
TEST(a_base_that_is_too_large_alone_is_no_reason)
{
    struct restore_work work = {.state_bytes = 100 * GB, .objects = 1000, .commits = 50000};

    EXPECT(restore_predict_ms(&work) > BUDGET_MS);
    EXPECT(!restore_exceeds_budget(&work, BUDGET_MS));
    work.objects = 100000;
    EXPECT(restore_exceeds_budget(&work, BUDGET_MS));
}

TEST(more_of_anything_never_takes_less)
{
    struct restore_work work = {.state_bytes = GB, .objects = 10, .record_bytes = 1000, .commits = 10};
    uint64_t before = restore_predict_ms(&work);

    work.objects++;
    EXPECT(restore_predict_ms(&work) >= before);
    work.state_bytes += GB;
    EXPECT(restore_predict_ms(&work) > before + 1000);
}

TEST(what_is_fetched_while_something_is_applied_takes_no_longer)
{
    struct restore_work fetched = {.objects = 100, .record_bytes = GB / 4}, applied = {.commits = 150000};
    struct restore_work both = {
        .objects = fetched.objects, .record_bytes = fetched.record_bytes, .commits = applied.commits};

    EXPECT(restore_predict_records_ms(&applied) > restore_predict_records_ms(&fetched));
    EXPECT_INT(restore_predict_records_ms(&both), restore_predict_records_ms(&applied));
    both.record_bytes *= 2;
    EXPECT(restore_predict_records_ms(&both) > restore_predict_records_ms(&applied));
}

TAP_MAIN()
