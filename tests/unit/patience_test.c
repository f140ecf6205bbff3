/* How long a claimant waits (protocol.md: H14, H15). */
#include "snapshot/patience.h"

#include "base/clock.h"
#include "tests/tap.h"

#define NOW_NS (UINT64_C(1000000) * NS_PER_SECOND)

static const struct engine_config plain = {.takeover_wait_ms = 30000};
static const struct engine_config alive = {.takeover_wait_ms = 30000, .predecessor = PREDECESSOR_ALIVE};
static const struct engine_config gone = {.takeover_wait_ms = 30000, .predecessor = PREDECESSOR_GONE};

static struct record_header head(enum record_kind kind, uint64_t draining_s)
{
    return (struct record_header){.kind = kind,
                                  .position = 9,
                                  .draining_until_ns =
                                      draining_s > 0 ? NOW_NS + draining_s * NS_PER_SECOND : 0};
}

static uint64_t first_wait(const struct engine_config *config, const struct record_header *header)
{
    struct patience patience = {0};

    return patience_handover_ms(&patience, config, header, NOW_NS, 5000);
}

TEST(only_a_predecessor_that_is_draining_is_waited_for)
{
    struct record_header busy = head(RECORD_DATA, 0), draining = head(RECORD_DRAIN, 7),
                         shipping = head(RECORD_DATA, 7), closed = head(RECORD_CLOSE, 7);
    struct record_header nobody = {.position = 0};

    EXPECT_INT(first_wait(&plain, &busy), 0);
    EXPECT_INT(first_wait(&plain, &draining), 7000);
    EXPECT_INT(first_wait(&plain, &shipping), 7000);
    EXPECT_INT(first_wait(&plain, &closed), 0);
    EXPECT_INT(first_wait(&plain, &nobody), 0);
    EXPECT_INT(first_wait(&alive, &nobody), 0);
}

TEST(the_hint_says_that_it_lives_or_is_gone)
{
    struct record_header busy = head(RECORD_DATA, 0), draining = head(RECORD_DRAIN, 7),
                         closed = head(RECORD_CLOSE, 0);

    EXPECT_INT(first_wait(&alive, &busy), 30000);
    EXPECT_INT(first_wait(&alive, &draining), 7000);
    EXPECT_INT(first_wait(&alive, &closed), 0);
    EXPECT_INT(first_wait(&gone, &busy), 0);
    EXPECT_INT(first_wait(&gone, &draining), 0);
}

TEST(no_wait_is_longer_than_allowed_from_first_sight_however_often_the_log_moves)
{
    struct record_header draining = head(RECORD_DRAIN, 3600), busy = head(RECORD_DATA, 0);
    struct patience patience = {0};

    EXPECT_INT(patience_handover_ms(&patience, &plain, &draining, NOW_NS, 5000), 30000);
    EXPECT_INT(patience_handover_ms(&patience, &plain, &draining, NOW_NS, 25000), 10000);
    EXPECT_INT(patience_handover_ms(&patience, &plain, &draining, NOW_NS, 35000), 0);
    patience = (struct patience){0};
    EXPECT_INT(patience_handover_ms(&patience, &alive, &busy, NOW_NS, 5000), 30000);
    EXPECT_INT(patience_handover_ms(&patience, &alive, &busy, NOW_NS, 34999), 1);
    EXPECT_INT(patience_handover_ms(&patience, &alive, &busy, NOW_NS, 1000000), 0);
}

TEST(an_announcement_that_has_passed_is_not_waited_for)
{
    struct record_header draining = head(RECORD_DRAIN, 7);
    struct patience patience = {0};

    EXPECT_INT(patience_handover_ms(&patience, &plain, &draining, NOW_NS + 8 * NS_PER_SECOND, 5000), 0);
}

TEST(opens_count_for_ten_minutes)
{
    struct record_header header = {
        .open_times_ns = {NOW_NS, NOW_NS - 599 * NS_PER_SECOND, NOW_NS - 601 * NS_PER_SECOND}};

    EXPECT_INT(patience_opens(&header, NOW_NS), 2);
    header.open_times_ns[0] = NOW_NS + 60 * NS_PER_SECOND; /* a clock ahead of the store's */
    EXPECT_INT(patience_opens(&header, NOW_NS), 2);
    EXPECT_INT(patience_opens(&(struct record_header){.position = 1}, NOW_NS), 0);
}

TEST(from_the_fourth_open_on_the_wait_doubles)
{
    static const struct {
        unsigned opens;
        uint64_t wait_ms;
    } rows[] = {{0, 0}, {2, 0}, {3, 1000}, {4, 2000}, {5, 4000}, {6, 8000}, {7, 8000}, {1000000, 8000}};

    for (size_t at = 0; at < sizeof(rows) / sizeof(rows[0]); at++)
        EXPECT_INT(patience_duel_ms(rows[at].opens, 8000), rows[at].wait_ms);
    EXPECT_INT(patience_duel_ms(5, 3000), 3000);
    EXPECT_INT(patience_duel_ms(3, 500), 500);
    EXPECT_INT(patience_duel_ms(1000, 0), 0);
}

TAP_MAIN()
