#include "base/clock.h"

#include "base/thread.h"
#include "tests/tap.h"

#include <sys/stat.h>
#include <time.h>

#define BILLION UINT64_C(1000000000)

TEST(time_is_written_in_utc_with_milliseconds)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {UINT64_C(784111777) * BILLION + 123999999, "1994-11-06T08:49:37.123Z"},
        {UINT64_C(951782400) * BILLION, "2000-02-29T00:00:00.000Z"},
        {UINT64_C(4107542399) * BILLION + 999999999, "2100-02-28T23:59:59.999Z"},
        {UINT64_MAX, "2554-07-21T23:34:33.709Z"},
    };

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        char text[CLOCK_TEXT_SIZE];
        clock_format(cases[at].ns, text);
        EXPECT_STR(text, cases[at].text);
    }
}

TEST(the_time_zone_of_the_machine_changes_nothing)
{
    char text[CLOCK_TEXT_SIZE];
    uint64_t ns = 0;
    struct err err = {0};

    (void)setenv("TZ", "Asia/Kathmandu", 1);
    tzset();
    clock_format(UINT64_C(784111777) * BILLION, text);
    EXPECT_STR(text, "1994-11-06T08:49:37.000Z");
    EXPECT_OK(clock_parse(text, &ns, &err), &err);
    EXPECT(ns == UINT64_C(784111777) * BILLION);
}

TEST(times_are_read_with_and_without_a_fraction)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1994-11-06T08:49:37Z", UINT64_C(784111777) * BILLION},
        {"1994-11-06T08:49:37.5Z", UINT64_C(784111777) * BILLION + 500000000},
        {"1994-11-06T08:49:37.123Z", UINT64_C(784111777) * BILLION + 123000000},
        {"1994-11-06T08:49:37.000000001Z", UINT64_C(784111777) * BILLION + 1},
        {"2000-02-29T00:00:00Z", UINT64_C(951782400) * BILLION},
    };

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        uint64_t ns = 1;
        struct err err = {0};
        EXPECT_OK(clock_parse(cases[at].text, &ns, &err), &err);
        EXPECT_INT(ns, cases[at].ns);
    }
}

TEST(what_is_not_a_time_is_refused_and_leaves_the_output_alone)
{
    static const char *const texts[] = {
        "",
        "now",
        "1994-11-06",
        "1994-11-06 08:49:37Z",
        "1994-11-06t08:49:37z",
        "1994-11-06T08:49:37",
        "1994-11-06T08:49:37+00:00",
        "1994-11-06T08:49:37.Z",
        "1994-11-06T08:49:37.1234567890Z",
        "1994-11-06T08:49:37Z ",
        " 1994-11-06T08:49:37Z",
        "1994-11-06T08:49:3Z",
        "94-11-06T08:49:37Z",
        "1994-00-06T08:49:37Z",
        "1994-13-06T08:49:37Z",
        "1994-11-00T08:49:37Z",
        "1994-11-31T08:49:37Z",
        "1900-02-29T00:00:00Z",
        "2001-02-29T00:00:00Z",
        "1994-11-06T24:00:00Z",
        "1994-11-06T08:60:37Z",
        "1994-11-06T08:49:60Z",
        "1994-11-06T-8:49:37Z",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
    };

    for (size_t at = 0; at < sizeof(texts) / sizeof(texts[0]); at++) {
        uint64_t ns = 77;
        struct err err = {0};
        if (!EXPECT(!clock_parse(texts[at], &ns, &err)))
            printf("#   \"%s\" was accepted\n", texts[at]);
        EXPECT_INT(err.code, ERR_CONFIG);
        EXPECT_INT(ns, 77);
        EXPECT(strstr(err.text, "2026-11-21T10:00:00.123Z"));
    }
}

TEST(a_time_beyond_what_64_bits_hold_is_the_last_one)
{
    uint64_t ns = 0;
    struct err err = {0};

    EXPECT_OK(clock_parse("9999-12-31T23:59:59.999Z", &ns, &err), &err);
    EXPECT(ns == UINT64_MAX);
    EXPECT_OK(clock_parse("2554-07-21T23:34:33.709Z", &ns, &err), &err);
    EXPECT(ns == UINT64_C(18446744073709000000));
    EXPECT_OK(clock_parse("2554-07-21T23:34:34Z", &ns, &err), &err);
    EXPECT(ns == UINT64_MAX);
}

TEST(what_was_written_reads_back_the_same)
{
    uint64_t ns = UINT64_C(123456789) * NS_PER_MS;

    for (int round = 0; round < 2000; round++, ns += UINT64_C(7919000000003) * NS_PER_MS / 1000 * 1000) {
        char text[CLOCK_TEXT_SIZE];
        uint64_t back = 0;
        struct err err = {0};
        clock_format(ns, text);
        REQUIRE_OK(clock_parse(text, &back, &err), &err);
        REQUIRE(back == ns / NS_PER_MS * NS_PER_MS);
    }
}

TEST(the_date_header_of_http_is_read)
{
    uint64_t ns = 0;

    EXPECT(clock_parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", &ns));
    EXPECT(ns == UINT64_C(784111777) * BILLION);
    EXPECT(clock_parse_http_date("Tue, 29 Feb 2000 00:00:00 GMT", &ns));
    EXPECT(ns == UINT64_C(951782400) * BILLION);
}

TEST(other_dates_of_http_are_refused)
{
    static const char *const texts[] = {
        "",
        "Sun",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
    };

    for (size_t at = 0; at < sizeof(texts) / sizeof(texts[0]); at++) {
        uint64_t ns = 77;
        if (!EXPECT(!clock_parse_http_date(texts[at], &ns)))
            printf("#   \"%s\" was accepted\n", texts[at]);
        EXPECT_INT(ns, 77);
    }
}

TEST(the_monotonic_clock_never_goes_back)
{
    uint64_t last_ns = clock_monotonic_ns();
    uint64_t last_ms = clock_monotonic_ms();

    for (int round = 0; round < 100000; round++) {
        uint64_t ns = clock_monotonic_ns();
        REQUIRE(ns >= last_ns);
        last_ns = ns;
    }
    EXPECT(clock_monotonic_ms() >= last_ms);
    EXPECT(clock_monotonic_ms() <= clock_monotonic_ns() / NS_PER_MS);
}

TEST(a_pause_lasts_as_long_as_it_is_told)
{
    const atomic_bool canceled = false;
    uint64_t started_ms = clock_monotonic_ms();

    EXPECT(clock_pause(0, NULL));
    EXPECT(clock_pause(50, NULL));
    EXPECT(clock_pause(50, &canceled));
    EXPECT(clock_monotonic_ms() - started_ms >= 100);
}

static void *cancel(void *context)
{
    atomic_store((atomic_bool *)context, true);
    return NULL;
}

TEST(a_canceled_pause_ends_at_once)
{
    static atomic_bool canceled;
    pthread_t thread;
    struct err err = {0};

    /* An hour: only the cancellation can end this within the time limit of a test. */
    REQUIRE_OK(thread_start(&thread, "cancel", cancel, &canceled, &err), &err);
    EXPECT(!clock_pause(3600 * 1000, &canceled));
    EXPECT(!clock_pause(0, &canceled));
    pthread_join(thread, NULL);
}

TEST(the_wall_clock_is_the_one_of_the_machine)
{
    uint64_t seconds = clock_unix_ns() / NS_PER_SECOND;
    uint64_t wanted = (uint64_t)time(NULL);

    EXPECT(seconds <= wanted && wanted - seconds <= 5);
}

TEST(files_are_stamped_with_the_stamp_clock)
{
    char path[] = "/tmp/clock_test.XXXXXX";
    uint64_t before = clock_stamp_ns(), stamp;
    int fd = mkstemp(path);
    struct stat status;

    REQUIRE(fd >= 0 && unlink(path) == 0 && fstat(fd, &status) == 0);
    stamp = (uint64_t)status.st_ctim.tv_sec * BILLION + (uint64_t)status.st_ctim.tv_nsec;
    EXPECT(stamp >= before && stamp <= clock_unix_ns());
    while (clock_stamp_ns() <= stamp) /* it moves */
        EXPECT(clock_pause(1, NULL));
    EXPECT(write(fd, "x", 1) == 1 && fstat(fd, &status) == 0);
    EXPECT((uint64_t)status.st_ctim.tv_sec * BILLION + (uint64_t)status.st_ctim.tv_nsec > stamp);
    (void)close(fd);
}

TAP_MAIN()
