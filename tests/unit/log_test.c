#include "base/log.h"

#include "base/buf.h"
#include "base/thread.h"
#include "tests/tap.h"

#include <fcntl.h>

/* From here on standard error goes into a file, whose text log_lines() gives. Every test is a process of its
 * own. */
static int capture(void)
{
    char path[] = "/tmp/holdfast-log-XXXXXX";
    int fd = mkstemp(path);

    if (fd < 0 || unlink(path) != 0 || fcntl(fd, F_SETFL, O_APPEND) != 0 || dup2(fd, STDERR_FILENO) < 0)
        abort();
    return fd;
}

static const char *captured(int fd)
{
    static char text[2000000];
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);

    text[size < 0 ? 0 : size] = '\0';
    return text;
}

/* `2026-11-21T10:00:00.123Z`: digits where it has digits, itself elsewhere. */
static bool looks_like_time(const char *text)
{
    static const char shape[] = "0000-00-00T00:00:00.000Z";

    for (size_t at = 0; at < sizeof(shape) - 1; at++) {
        bool digit = text[at] >= '0' && text[at] <= '9';
        if (shape[at] == '0' ? !digit : text[at] != shape[at])
            return false;
    }
    return true;
}

TEST(a_line_is_time_name_level_and_message)
{
    int fd = capture();
    const char *text;

    log_warning("restored %d databases in %s", 3, "0.8 s");
    text = captured(fd);
    REQUIRE(looks_like_time(text));
    EXPECT_STR(text + 24, " holdfast warning restored 3 databases in 0.8 s\n");
}

TEST(a_json_line_is_one_object)
{
    int fd = capture();
    const char *text;

    log_configure(LOG_JSON, LOG_INFO);
    log_error("bad \"name\"\n\xff\\");
    text = captured(fd);
    REQUIRE(strncmp(text, "{\"time\":\"", 9) == 0 && looks_like_time(text + 9));
    EXPECT_STR(text + 33,
               "\",\"source\":\"holdfast\",\"level\":\"error\",\"message\":"
               "\"bad \\\"name\\\"\\u000a\xef\xbf\xbd\\\\\"}\n");
}

static int count_lines(const char *text)
{
    int lines = 0;

    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

TEST(only_what_is_asked_for_is_written)
{
    static const enum log_level levels[] = {LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

    for (int lines = 1; lines <= 4; lines++) {
        int fd = capture();
        log_configure(LOG_TEXT, levels[lines - 1]);
        log_error("1");
        log_warning("2");
        log_info("3");
        log_debug("4");
        EXPECT_INT(count_lines(captured(fd)), lines);
        EXPECT(log_is_enabled(levels[lines - 1]));
        EXPECT(lines == 4 || !log_is_enabled(levels[lines]));
        (void)close(fd);
    }
}

TEST(debug_arguments_are_not_even_computed_when_nobody_listens)
{
    int computed = 0;

    (void)capture();
    log_debug("%d", ++computed);
    EXPECT_INT(computed, 0);
    log_configure(LOG_TEXT, LOG_DEBUG);
    log_debug("%d", ++computed);
    EXPECT_INT(computed, 1);
}

TEST(a_message_cannot_forge_a_second_line)
{
    int fd = capture();
    const char *text;

    log_info("file a\n2026-11-21T10:00:00.123Z holdfast info forged\r\x1b[2J\x7f.");
    text = captured(fd);
    EXPECT_INT(count_lines(text), 1);
    EXPECT_STR(text + 24, " holdfast info file a 2026-11-21T10:00:00.123Z holdfast info forged  [2J .\n");
}

TEST(a_message_that_is_too_long_is_cut_and_still_one_line)
{
    char message[10000];
    int fd = capture();
    const char *text;

    memset(message, 'x', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    log_info("%s", message);
    text = captured(fd);
    EXPECT_INT(count_lines(text), 1);
    EXPECT(strlen(text) > 2000 && strlen(text) < 2200);
    EXPECT(text[strlen(text) - 1] == '\n');
}

TEST(the_longest_message_of_the_worst_bytes_is_a_whole_json_line)
{
    char message[3000];
    int fd = capture();
    const char *text;

    memset(message, '\x01', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    log_configure(LOG_JSON, LOG_INFO);
    log_info("%s", message);
    text = captured(fd);
    EXPECT_INT(count_lines(text), 1);
    EXPECT_STR(text + strlen(text) - 9, "\\u0001\"}\n");
}

enum { WRITERS = 4, LINES = 500 };

static void *write_lines(void *context)
{
    const char *letter = context;
    char message[200];

    memset(message, *letter, sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    for (int line = 0; line < LINES; line++)
        log_info("%s", message);
    return NULL;
}

static bool line_is_whole(const char *line, size_t size)
{
    static const char lead[] = " holdfast info ";
    const char *message = line + 24 + sizeof(lead) - 1;

    if (size != 24 + sizeof(lead) - 1 + 199 || !looks_like_time(line) ||
        memcmp(line + 24, lead, sizeof(lead) - 1) != 0)
        return false;
    for (int at = 1; at < 199; at++)
        if (message[at] != message[0])
            return false;
    return true;
}

TEST(lines_of_many_threads_do_not_mix)
{
    static char letters[WRITERS] = {'a', 'b', 'c', 'd'};
    pthread_t threads[WRITERS];
    struct err err = {0};
    int fd = capture(), lines = 0;
    const char *line, *end;

    for (int writer = 0; writer < WRITERS; writer++)
        REQUIRE_OK(thread_start(&threads[writer], "writer", write_lines, &letters[writer], &err), &err);
    for (int writer = 0; writer < WRITERS; writer++)
        pthread_join(threads[writer], NULL);
    for (line = captured(fd); (end = strchr(line, '\n')); line = end + 1, lines++)
        REQUIRE(line_is_whole(line, (size_t)(end - line)));
    EXPECT_INT(lines, WRITERS * LINES);
}

TEST(a_log_that_cannot_be_written_stops_nobody)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    REQUIRE(full >= 0 && dup2(full, STDERR_FILENO) >= 0);
    log_error("nobody reads this");
    (void)close(STDERR_FILENO);
    log_error("nor this");
    EXPECT(true);
}

TAP_MAIN()
