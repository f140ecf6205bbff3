/* An application that owns a database: a process of its own that commits until it is told to stop.
 *
 * Each commit n inserts row n with some random bytes into `entry`, and sets both columns of the one row of
 * `pair` to n, so a consistent state is one where a, b and the number of rows agree. With two databases,
 * commit n goes to the first before it goes to the second. Like Convex it uses SQLite's defaults and a busy
 * timeout of 5 s.
 *
 * It is the test program itself, executed again (a forked copy would inherit SQLite's idea of which locks
 * this process holds), or the program that TEST_WRITER names: the same built with another SQLite. */
#ifndef TESTS_DOUBLE_WRITER_H
#define TESTS_DOUBLE_WRITER_H

#include "tests/sanitizers.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { WRITER_PATH_MAX = 200, WRITER_SQL_MAX = 200 };

struct writer_plan {
    char paths[2][WRITER_PATH_MAX]; /* the second may be empty */
    char sql[WRITER_SQL_MAX];       /* run after opening, e.g. a pragma; its failure ends the writer */
    char then[WRITER_SQL_MAX];      /* run when the tables are there */
    uint64_t rate;                  /* commits for each second, 0: as fast as it can */
    uint64_t commits_max;           /* then it closes and ends; 0: goes on */
    uint64_t bytes;                 /* about so many in each commit */
    bool idle;                      /* opens, runs sql, and waits */
};

/* Written by the writer, read by the test. */
struct writer_stats {
    struct writer_plan plan;
    _Atomic uint64_t is_open;  /* its databases are open, the tables are there, sql has run */
    _Atomic uint64_t commits;  /* COMMIT has returned for so many */
    _Atomic uint64_t worst_us; /* longest commit, from BEGIN */
    _Atomic int64_t failed;    /* result code of the statement that failed */
    atomic_int must_stop;      /* a signal alone may come while TSan is not ready for it, and is lost */
};

struct writer {
    pid_t pid;
    struct writer_stats *stats;
    int stats_fd;
};

/* Starts one and returns when it is open (false: it failed before; stats->failed says how). A stopped writer
 * may be started again with another plan. Stops the test program if there is no process to be had. */
bool writer_start(struct writer *writer, const struct writer_plan *plan);
/* The same without waiting; false: no process was to be had. */
bool writer_launch(struct writer *writer, const struct writer_plan *plan);
/* A plan for one database with commits of some 3 KB. */
struct writer_plan writer_plan_for(const char *path, uint64_t rate);
/* Makes a database of so many commits, in a process that has ended when this returns. sql may be NULL. */
bool writer_make(const char *path, uint64_t commits, const char *sql);

bool writer_is_alive(const struct writer *writer);
/* Waits for the end of one with commits_max; true if it ended well. */
bool writer_finish(struct writer *writer);
/* Asks it to close and waits for its end; true if it ended well. */
bool writer_stop(struct writer *writer);
/* SIGKILL, and waits. */
void writer_kill(struct writer *writer);
/* Waits until `commits` more have returned. False if it ended before. */
bool writer_wait(const struct writer *writer, uint64_t commits);

/* The program, and what it was built with. */
const char *writer_sqlite_version(void);
int writer_main(const char *stats_path);

/* How long a commit may take. An application gives up after 5 s, which shows as a failed commit; this is only
 * for what it would put up with. Disks that other tests keep busy stall for seconds as well, and longer still
 * under sanitizers. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { WRITER_STALL_MAX_US = 20000000 };
#else
enum { WRITER_STALL_MAX_US = 4500000 };
#endif

#endif
