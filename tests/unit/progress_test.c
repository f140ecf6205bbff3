#include "sidecar/progress.h"

#include "base/clock.h"

#include "tests/tap.h"

#include <fcntl.h>

TEST(bytes_are_written_with_three_digits_at_most)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},         {999, "999 B"},         {1000, "1.0 kB"},
        {9949, "9.9 kB"},   {9950, "10 kB"},        {999499, "999 kB"},
        {999500, "1.0 MB"}, {1234567890, "1.2 GB"}, {UINT64_MAX, "18 EB"},
    };

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        char text[16];
        progress_format_bytes(cases[at].bytes, text);
        EXPECT_STR(text, cases[at].text);
    }
}

static const char *bar(uint64_t elapsed_ms, uint64_t done, uint64_t total)
{
    static char line[512];
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(512);

    progress_format_bar(&text, "restoring", elapsed_ms, done, total);
    (void)snprintf(line, sizeof(line), "%s", buf_text(&text));
    return line;
}

TEST(the_bar_fills_with_the_bytes)
{
    EXPECT_STR(bar(0, 0, 0), "restoring [                              ] 0 %, 0 B of 0 B");
    EXPECT_STR(bar(4000, 500, 1000),
               "restoring [###############               ] 50 %, 500 B of 1.0 kB, 4 s left");
    EXPECT_STR(bar(4000, 1000, 1000), "restoring [##############################] 100 %, 1.0 kB of 1.0 kB");
    EXPECT_STR(bar(4000, 2000, 1000), "restoring [##############################] 100 %, 2.0 kB of 1.0 kB");
}

/* What is written to standard error meanwhile. */
static size_t written_by(struct progress *progress, char *text, size_t size)
{
    int pipe_fds[2], before = dup(STDERR_FILENO);
    ssize_t got;

    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return 0;
    (void)dup2(pipe_fds[1], STDERR_FILENO);
    progress_report(progress, 1, 2);
    (void)dup2(before, STDERR_FILENO);
    got = read(pipe_fds[0], text, size - 1);
    text[got < 0 ? 0 : got] = '\0';
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    (void)close(before);
    return got < 0 ? 0 : (size_t)got;
}

TEST(nothing_is_shown_before_it_is_time)
{
    struct progress progress;
    char text[512];

    progress_begin(&progress, "restoring");
    progress.shown_ms = clock_monotonic_ms();
    EXPECT_INT(written_by(&progress, text, sizeof(text)), 0);
}

TEST(a_log_line_is_shown_where_there_is_no_terminal)
{
    struct progress progress;
    char text[512];

    progress_begin(&progress, "restoring");
    progress.is_terminal = false;
    progress.shown_ms = clock_monotonic_ms() - PROGRESS_LINE_MS;
    EXPECT(written_by(&progress, text, sizeof(text)) > 0);
    EXPECT(strstr(text, "holdfast info restoring: 50 %, 1 B of 2 B\n"));
    EXPECT_INT(written_by(&progress, text, sizeof(text)), 0);
}

TEST(a_bar_is_drawn_on_a_terminal)
{
    struct progress progress;
    char text[512];

    progress_begin(&progress, "restoring");
    progress.is_terminal = true;
    progress.shown_ms = clock_monotonic_ms() - PROGRESS_BAR_MS;
    EXPECT(written_by(&progress, text, sizeof(text)) > 0);
    EXPECT(text[0] == '\r' && !strchr(text, '\n'));
    EXPECT(progress.has_bar);
}

TAP_MAIN()
