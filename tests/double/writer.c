#include "tests/double/writer.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char STATS_VARIABLE[] = "TEST_WRITER_STATS";

static volatile sig_atomic_t stopping;

static void stop(int number)
{
    (void)number;
    stopping = 1;
}

static void fail(const char *what)
{
    perror(what);
    abort();
}

static void pause_us(uint64_t us)
{
    struct timespec delay = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000)};

    (void)nanosleep(&delay, NULL);
}

static struct writer_stats *map_stats(int fd)
{
    void *stats = mmap(NULL, sizeof(struct writer_stats), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (stats == MAP_FAILED)
        fail("map the writer's stats");
    return stats;
}

/* The program. */

struct table {
    sqlite3 *connection;
    sqlite3_stmt *insert;
    sqlite3_stmt *update;
};

static bool succeeded(struct writer_stats *stats, int result)
{
    if (result != SQLITE_OK && result != SQLITE_DONE && result != SQLITE_ROW)
        atomic_store(&stats->failed, result);
    return atomic_load(&stats->failed) == 0;
}

static bool run(struct writer_stats *stats, struct table *table, const char *sql)
{
    return succeeded(stats, sqlite3_exec(table->connection, sql, NULL, NULL, NULL));
}

static bool open_table(struct writer_stats *stats, struct table *table, const char *path)
{
    static const char *const schema =
        "CREATE TABLE IF NOT EXISTS entry(n INTEGER PRIMARY KEY, body BLOB, tag TEXT);"
        "CREATE INDEX IF NOT EXISTS entry_by_tag ON entry(tag, n);"
        "CREATE TABLE IF NOT EXISTS pair(id INTEGER PRIMARY KEY, a INTEGER, b INTEGER);"
        "INSERT INTO pair SELECT 1, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM pair);";

    if (!succeeded(stats, sqlite3_open(path, &table->connection)))
        return false;
    (void)sqlite3_busy_timeout(table->connection, 5000);
    return run(stats, table, stats->plan.sql) && run(stats, table, schema) &&
           run(stats, table, stats->plan.then) &&
           succeeded(stats,
                     sqlite3_prepare_v2(table->connection,
                                        "INSERT INTO entry VALUES (?1, randomblob(?2), hex(randomblob(8)))",
                                        -1, &table->insert, NULL)) &&
           succeeded(stats, sqlite3_prepare_v2(table->connection, "UPDATE pair SET a = ?1, b = ?1", -1,
                                               &table->update, NULL));
}

static bool step(struct writer_stats *stats, sqlite3_stmt *statement, uint64_t n)
{
    int result;

    (void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)n);
    result = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    return succeeded(stats, result);
}

static bool commit_one(struct writer_stats *stats, struct table *table, uint64_t n)
{
    (void)sqlite3_bind_int64(table->insert, 2, (sqlite3_int64)stats->plan.bytes);
    return run(stats, table, "BEGIN") && step(stats, table->insert, n) && step(stats, table->update, n) &&
           run(stats, table, "COMMIT");
}

static uint64_t last_of(struct table *table)
{
    sqlite3_stmt *select = NULL;
    uint64_t last = 0;

    if (sqlite3_prepare_v2(table->connection, "SELECT coalesce(max(n), 0) FROM entry", -1, &select, NULL) ==
            SQLITE_OK &&
        sqlite3_step(select) == SQLITE_ROW)
        last = (uint64_t)sqlite3_column_int64(select, 0);
    (void)sqlite3_finalize(select);
    return last;
}

static void wait_for_turn(const struct writer_stats *stats, uint64_t begun_ns, uint64_t done)
{
    uint64_t due_ns, now_ns;

    if (stats->plan.rate == 0)
        return;
    due_ns = begun_ns + done * NS_PER_SECOND / stats->plan.rate;
    now_ns = clock_monotonic_ns();
    if (due_ns > now_ns)
        pause_us((due_ns - now_ns) / 1000);
}

/* Commit n to each table in turn. After a kill between the two, the second is one behind: it gets n first. */
static bool commit_all(struct writer_stats *stats, struct table *tables, unsigned count, uint64_t n)
{
    uint64_t begun_ns = clock_monotonic_ns(), us;

    for (unsigned at = 0; at < count; at++)
        if (last_of(&tables[at]) < n && !commit_one(stats, &tables[at], n))
            return false;
    us = (clock_monotonic_ns() - begun_ns) / 1000;
    if (us > atomic_load(&stats->worst_us))
        atomic_store(&stats->worst_us, us);
    atomic_fetch_add(&stats->commits, 1);
    return true;
}

static void commit_until_stopped(struct writer_stats *stats, struct table *tables, unsigned count)
{
    uint64_t begun_ns = clock_monotonic_ns(), done = 0, n = last_of(&tables[count - 1]) + 1;

    while (!stopping && !atomic_load(&stats->must_stop) &&
           (stats->plan.commits_max == 0 || done < stats->plan.commits_max)) {
        if (stats->plan.idle)
            pause_us(1000);
        else if (!commit_all(stats, tables, count, n + done++))
            return;
        wait_for_turn(stats, begun_ns, done);
    }
}

const char *writer_sqlite_version(void)
{
    return sqlite3_libversion();
}

int writer_main(const char *stats_path)
{
    int fd = open(stats_path, O_RDWR | O_CLOEXEC);
    struct writer_stats *stats = map_stats(fd);
    struct table tables[2] = {0};
    unsigned count = stats->plan.paths[1][0] ? 2 : 1;
    bool opened = true;

    (void)signal(SIGTERM, stop);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned at = 0; opened && at < count; at++)
        opened = open_table(stats, &tables[at], stats->plan.paths[at]);
    if (opened) {
        atomic_store(&stats->is_open, 1);
        commit_until_stopped(stats, tables, count);
    }
    for (unsigned at = 0; at < count; at++) {
        (void)sqlite3_finalize(tables[at].insert);
        (void)sqlite3_finalize(tables[at].update);
        (void)succeeded(stats, sqlite3_close(tables[at].connection));
    }
    return atomic_load(&stats->failed) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A test program that finds this variable is the writer, and never comes to its tests. */
__attribute__((constructor)) static void become_writer(void)
{
    const char *stats_path = getenv(STATS_VARIABLE);

    if (stats_path)
        _exit(writer_main(stats_path));
}

/* The test's side. */

static void prepare_stats(struct writer *writer, const struct writer_plan *plan)
{
    if (!writer->stats) {
        writer->stats_fd = memfd_create("writer-stats", MFD_CLOEXEC);
        if (writer->stats_fd < 0 || ftruncate(writer->stats_fd, sizeof(struct writer_stats)) != 0)
            fail("writer stats");
        writer->stats = map_stats(writer->stats_fd);
    }
    writer->stats->plan = *plan;
    atomic_store(&writer->stats->is_open, 0);
    atomic_store(&writer->stats->commits, 0);
    atomic_store(&writer->stats->worst_us, 0);
    atomic_store(&writer->stats->failed, 0);
    atomic_store(&writer->stats->must_stop, 0);
}

bool writer_launch(struct writer *writer, const struct writer_plan *plan)
{
    CLEANUP(freep) char *stats_path = NULL;
    const char *program = getenv("TEST_WRITER") ? getenv("TEST_WRITER") : "/proc/self/exe";

    prepare_stats(writer, plan);
    stats_path = xasprintf("/proc/%d/fd/%d", (int)getpid(), writer->stats_fd);
    if (setenv(STATS_VARIABLE, stats_path, 1) != 0)
        fail("setenv");
    writer->pid = fork();
    if (writer->pid == 0) {
        (void)execl(program, program, stats_path, (char *)NULL);
        _exit(127);
    }
    (void)unsetenv(STATS_VARIABLE);
    return writer->pid > 0;
}

bool writer_start(struct writer *writer, const struct writer_plan *plan)
{
    if (!writer_launch(writer, plan))
        fail("fork");
    while (!atomic_load(&writer->stats->is_open) && writer_is_alive(writer))
        pause_us(200);
    return atomic_load(&writer->stats->is_open) != 0;
}

bool writer_is_alive(const struct writer *writer)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)writer->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

static int wait_for_end(struct writer *writer)
{
    int status = -1;

    if (waitpid(writer->pid, &status, 0) != writer->pid)
        fail("wait for the writer");
    writer->pid = -1;
    return status;
}

static bool ended_well(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

bool writer_finish(struct writer *writer)
{
    return ended_well(wait_for_end(writer));
}

bool writer_stop(struct writer *writer)
{
    atomic_store(&writer->stats->must_stop, 1);
    assert(writer->pid > 0);          /* -1 would be everybody */
    (void)kill(writer->pid, SIGTERM); /* it may be asleep */
    return ended_well(wait_for_end(writer));
}

void writer_kill(struct writer *writer)
{
    assert(writer->pid > 0); /* -1 would be everybody */
    (void)kill(writer->pid, SIGKILL);
    (void)wait_for_end(writer);
}

bool writer_wait(const struct writer *writer, uint64_t commits)
{
    uint64_t goal = atomic_load(&writer->stats->commits) + commits;

    while (atomic_load(&writer->stats->commits) < goal && writer_is_alive(writer))
        pause_us(200);
    return atomic_load(&writer->stats->commits) >= goal;
}

struct writer_plan writer_plan_for(const char *path, uint64_t rate)
{
    struct writer_plan plan = {.rate = rate, .bytes = 3000};

    (void)snprintf(plan.paths[0], sizeof(plan.paths[0]), "%s", path);
    return plan;
}

bool writer_make(const char *path, uint64_t commits, const char *sql)
{
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(path, 0);

    plan.commits_max = commits;
    plan.idle = commits == 0;
    (void)snprintf(plan.sql, sizeof(plan.sql), "%s", sql ? sql : "");
    return writer_start(&writer, &plan) && (plan.idle ? writer_stop(&writer) : writer_finish(&writer));
}
