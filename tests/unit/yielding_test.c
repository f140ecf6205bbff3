/* An owner that appends back to back lets a claimant in (protocol.md: H14). */
#include "snapshot/yielding.h"

#include "tests/tap.h"

enum { NOW = 1000000 };

TEST(an_owner_that_appends_now_and_then_never_waits)
{
    struct yielding yielding = {0};

    EXPECT_INT(yielding_until_ms(&yielding), 0);
    for (uint64_t at = NOW; at < NOW + 60000; at += 500) {
        yielding_note_append(&yielding, at, at + 250);
        EXPECT_INT(yielding_until_ms(&yielding), 0);
    }
}

TEST(back_to_back_it_leaves_a_gap_every_two_seconds)
{
    struct yielding yielding = {0};
    uint64_t now = NOW, gap_ended = NOW;
    int gaps = 0;

    while (now < NOW + 22000) {
        uint64_t until = yielding_until_ms(&yielding);
        if (until > now) {
            EXPECT_INT(until - now, YIELDING_GAP_MS);
            EXPECT(now - gap_ended >= YIELDING_EVERY_MS && now - gap_ended < YIELDING_EVERY_MS + 50);
            now = gap_ended = until;
            gaps++;
        }
        yielding_note_append(&yielding, now, now + 50);
        now += 50;
    }
    EXPECT_INT(gaps, 10);
}

TEST(one_append_that_takes_long_is_followed_by_a_gap_too)
{
    struct yielding yielding = {0};

    yielding_note_append(&yielding, NOW, NOW + 5000);
    EXPECT_INT(yielding_until_ms(&yielding), NOW + 5000 + YIELDING_GAP_MS);
    yielding_note_append(&yielding, NOW + 6000, NOW + 6010);
    EXPECT_INT(yielding_until_ms(&yielding), 0);
}

TAP_MAIN()
