/* What a file is, and how it gets into WAL mode, also under an application that is writing. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/database_internal.h"
#include "tests/double/sample.h"
#include "tests/double/writer.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GENEROUS_MS = 10000 };

static atomic_bool never;

static bool convert(const char *path, struct err *err)
{
    return database_convert(path, clock_monotonic_ms() + GENEROUS_MS, &never, err);
}

static enum database_kind kind_at(const char *path)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    enum database_kind kind = DATABASE_NONE;
    struct err err = {0};

    EXPECT_OK(guarded_file_open(AT_FDCWD, path, &fd, &err) && database_kind_of(fd, &kind, &err), &err);
    return kind;
}

static const char *file_of(const char *name, const void *bytes, size_t size)
{
    const char *path = sample_path(name);
    struct err err = {0};

    EXPECT_OK(fs_replace_file(AT_FDCWD, path, bytes, size, 0600, &err), &err);
    return path;
}

TEST(a_file_is_known_by_its_content)
{
    uint8_t header[4096] = "SQLite format 3";
    const char *path = sample_path("db");

    EXPECT_INT(kind_at(file_of("empty", "", 0)), DATABASE_EMPTY);
    EXPECT_INT(kind_at(file_of("short", "SQLite format 3", 16)), DATABASE_NONE);
    EXPECT_INT(kind_at(file_of("text", header, sizeof(header))), DATABASE_NONE);
    REQUIRE(writer_make(path, 3, NULL));
    EXPECT_INT(kind_at(path), DATABASE_ROLLBACK);
}

/* Each case breaks one field of a sound header. */
TEST(a_header_that_cannot_be_is_no_database)
{
    static const struct {
        unsigned at;
        uint8_t value;
    } cases[] = {{0, 'X'}, {16, 0x11}, {17, 0x03}, {18, 3}, {19, 0}, {21, 63}, {22, 31}, {23, 31}};
    CLEANUP(buf_clearp) struct buf sound = BUF_INIT(1 << 20);
    struct err err = {0};

    REQUIRE(writer_make(sample_path("db"), 1, NULL));
    REQUIRE_OK(fs_read_file(AT_FDCWD, sample_path("db"), &sound, &err), &err);
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        uint8_t kept = sound.bytes[cases[at].at];
        sound.bytes[cases[at].at] = cases[at].value;
        EXPECT_INT(kind_at(file_of("broken", sound.bytes, sound.size)), DATABASE_NONE);
        sound.bytes[cases[at].at] = kept;
    }
    EXPECT_INT(kind_at(file_of("cut", sound.bytes, 4095)), DATABASE_NONE);
    EXPECT_INT(kind_at(file_of("whole", sound.bytes, 4096)), DATABASE_ROLLBACK);
}

TEST(a_file_that_is_absent_is_not_created)
{
    struct err err = {0};

    EXPECT(!convert(sample_path("db"), &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT(!sample_exists(sample_path("db")) && !sample_exists(sample_path("db-wal")) &&
           !sample_exists(sample_path("db-shm")) && !sample_exists(sample_path("db-journal")));
}

TEST(an_empty_file_is_left_empty)
{
    const char *path = file_of("db", "", 0);
    struct err err = {0};

    EXPECT(!convert(path, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT_INT(sample_size(path), 0);
    EXPECT(!sample_exists(sample_path("db-wal")) && !sample_exists(sample_path("db-shm")));
}

TEST(a_plain_file_is_corrupt)
{
    struct err err = {0};
    char text[8192];

    memset(text, 'x', sizeof(text));
    EXPECT(!convert(file_of("db", text, sizeof(text)), &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
}

/* A sound database with one byte changed, of so many pages. */
static const char *damaged(unsigned at, uint8_t value, size_t pages)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);
    struct err err = {0};

    if (!writer_make(sample_path("sound"), 20, NULL) ||
        !fs_read_file(AT_FDCWD, sample_path("sound"), &bytes, &err) || bytes.size <= pages * 4096)
        abort();
    bytes.bytes[at] = value;
    return file_of("db", bytes.bytes, pages == 0 ? bytes.size : pages * 4096);
}

static void expect_refused(const char *path, enum err_code code)
{
    struct err err = {0};

    EXPECT(!convert(path, &err));
    EXPECT_INT(err.code, code);
}

TEST(what_sqlite_takes_for_no_database_is_corrupt)
{
    expect_refused(damaged(16, 0x11, 0), ERR_CORRUPT); /* its page size */
    expect_refused(damaged(19, 3, 0), ERR_CORRUPT);    /* its format */
    expect_refused(damaged(0, 'S', 2), ERR_CORRUPT);   /* cut off */
}

/* A newer SQLite, or one with a key, may be writing to it. */
TEST(a_database_with_a_schema_that_can_not_be_read_is_one)
{
    expect_refused(damaged(100, 0xff, 0), ERR_SYSTEM); /* the type of its first page */
}

TEST(what_somebody_has_locked_or_has_a_log_beside_it_is_not_called_corrupt)
{
    const char *path = damaged(16, 0x11, 0);
    int fd = open(path, O_RDWR | O_CLOEXEC), ready[2];
    pid_t child;
    char byte;

    REQUIRE(fd >= 0 && pipe2(ready, O_CLOEXEC) == 0);
    child = fork();
    if (child == 0) {
        struct flock lock = {
            .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0x40000000 + 2, .l_len = 510};
        if (fcntl(fd, F_SETLK, &lock) == 0 && write(ready[1], "x", 1) == 1)
            (void)pause();
        _exit(1);
    }
    EXPECT_INT(read(ready[0], &byte, 1), 1);
    (void)close(fd);
    expect_refused(path, ERR_SYSTEM);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    expect_refused(path, ERR_CORRUPT);
    (void)file_of("db-wal", "frames", 6);
    expect_refused(path, ERR_SYSTEM);
}

TEST(a_database_at_rest_is_converted_for_good)
{
    const char *path = sample_path("db");
    struct err err = {0};

    REQUIRE(writer_make(path, 5, NULL));
    REQUIRE_OK(convert(path, &err), &err);
    EXPECT_INT(kind_at(path), DATABASE_WAL);
    REQUIRE(writer_make(path, 5, NULL));
    EXPECT_INT(kind_at(path), DATABASE_WAL);
    EXPECT_OK(convert(path, &err), &err);
    EXPECT_INT(sample_value(path), 10);
}

static bool has_seen(int watch_fd, const char *name)
{
    _Alignas(struct inotify_event) char events[4096];
    ssize_t size;

    while ((size = read(watch_fd, events, sizeof(events))) > 0)
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const void *)(events + at);
            if (event->len > 0 && strcmp(event->name, name) == 0)
                return true;
            at += (ssize_t)(sizeof(*event) + event->len);
        }
    return false;
}

/* Whatever takes the name at that moment would be rolled back by it. */
TEST(the_change_itself_puts_no_journal_beside_the_file)
{
    static const char *const modes[] = {"DELETE", "PERSIST", "TRUNCATE"};
    const char *path = sample_path("db");
    struct err err = {0};

    for (size_t at = 0; at < sizeof(modes) / sizeof(modes[0]); at++) {
        CLEANUP(close_fdp) int watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        CLEANUP(freep) char *sql = xasprintf("PRAGMA journal_mode=%s; PRAGMA auto_vacuum=FULL", modes[at]);
        (void)unlink(path);
        (void)unlink(sample_path("db-wal"));
        REQUIRE(writer_make(path, 5, sql));
        (void)unlink(sample_path("db-journal"));
        REQUIRE(inotify_add_watch(watch_fd, sample_directory(), IN_CREATE) >= 0);
        REQUIRE_OK(convert(path, &err), &err);
        EXPECT(!has_seen(watch_fd, "db-journal"));
        EXPECT_INT(kind_at(path), DATABASE_WAL);
        EXPECT_INT(sample_value(path), 5);
    }
}

static void convert_live(uint64_t rate, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        CLEANUP(freep) char *name = xasprintf("db%u", round);
        const char *path = sample_path(name);
        CLEANUP(freep) char *log = xasprintf("%s-wal", path);
        struct writer writer = {0};
        struct writer_plan plan = writer_plan_for(path, rate);
        struct err err = {0};
        uint64_t done;
        REQUIRE(writer_start(&writer, &plan));
        REQUIRE(writer_wait(&writer, 5));
        EXPECT_OK(convert(path, &err), &err);
        EXPECT(writer_wait(&writer, 20));
        EXPECT_INT(atomic_load(&writer.stats->failed), 0);
        EXPECT(atomic_load(&writer.stats->worst_us) < WRITER_STALL_MAX_US);
        EXPECT(sample_exists(log));
        EXPECT(writer_stop(&writer));
        done = atomic_load(&writer.stats->commits);
        EXPECT_INT(sample_value(path), done);
    }
}

TEST(an_application_that_commits_at_50_hz_is_converted_live)
{
    convert_live(50, 10);
}

TEST(an_application_that_never_pauses_is_converted_live)
{
    convert_live(0, 10);
}

/* From no file at all: what is there is looked at until it can be converted. */
static void race_with_a_first_boot(unsigned round)
{
    CLEANUP(freep) char *name = xasprintf("db%u", round);
    const char *path = sample_path(name);
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(path, 0);
    struct err err = {0};

    REQUIRE(writer_launch(&writer, &plan));
    while (!convert(path, &err) && err.code == ERR_NOT_FOUND)
        (void)sched_yield();
    EXPECT_INT(kind_at(path), DATABASE_WAL);
    EXPECT(writer_wait(&writer, 20));
    EXPECT_INT(atomic_load(&writer.stats->failed), 0);
    EXPECT(writer_stop(&writer));
    EXPECT_INT(sample_value(path), atomic_load(&writer.stats->commits));
}

TEST(a_first_boot_is_converted_as_soon_as_there_is_something)
{
    for (unsigned round = 0; round < 20; round++)
        race_with_a_first_boot(round);
}

TEST(what_a_killed_application_left_behind_is_rolled_back)
{
    const char *path = sample_path("db");
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(path, 0);
    struct err err = {0};

    REQUIRE(writer_make(path, 50, NULL));
    plan.idle = true;
    (void)snprintf(
        plan.sql, sizeof(plan.sql),
        "PRAGMA cache_size=2; BEGIN; UPDATE entry SET body = randomblob(5000); UPDATE pair SET a = 0");
    REQUIRE(writer_start(&writer, &plan));
    writer_kill(&writer);
    REQUIRE(sample_size(sample_path("db-journal")) > 0);
    REQUIRE_OK(convert(path, &err), &err);
    EXPECT(!sample_exists(sample_path("db-journal")));
    EXPECT_INT(sample_value(path), 50);
}

static struct writer start_idle(const char *path, const char *sql)
{
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(path, 0);

    plan.idle = true;
    (void)snprintf(plan.sql, sizeof(plan.sql), "%s", sql);
    EXPECT(writer_start(&writer, &plan));
    return writer;
}

TEST(a_database_that_the_application_keeps_for_itself_is_given_up_after_a_while)
{
    const char *path = sample_path("db");
    struct err err = {0};
    struct writer writer;

    REQUIRE(writer_make(path, 5, NULL));
    writer = start_idle(path, "PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE; COMMIT");
    EXPECT(!database_convert(path, clock_monotonic_ms() + 200, &never, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    EXPECT_INT(kind_at(path), DATABASE_ROLLBACK);
    EXPECT(writer_stop(&writer));
    EXPECT_OK(convert(path, &err), &err);
}

TEST(a_stop_ends_the_attempts)
{
    const char *path = sample_path("db");
    atomic_bool canceled = true;
    struct err err = {0};
    struct writer writer;

    REQUIRE(writer_make(path, 5, NULL));
    writer = start_idle(path, "BEGIN EXCLUSIVE");
    EXPECT(!database_convert(path, clock_monotonic_ms() + GENEROUS_MS, &canceled, &err));
    EXPECT_INT(err.code, ERR_CANCELED);
    writer_kill(&writer);
}

TAP_MAIN()
