/* A directory that is looked at and shipped by hand. */
#ifndef TESTS_UNIT_PENDING_BENCH_H
#define TESTS_UNIT_PENDING_BENCH_H

#include "snapshot/pending.h"
#include "tests/double/placing.h"
#include "tests/double/scanning.h"

#include <fcntl.h>

struct bench {
    struct scratch scratch;
    struct pending *pending;
    struct tree *now;
    struct tree *previous;
};

static inline void set_up(struct bench *bench)
{
    struct err err;

    *bench = (struct bench){0};
    scratch_open(&bench->scratch);
    EXPECT_OK(pending_open(bench->scratch.fd, &bench->pending, &err), &err);
}

static inline void tear_down(struct bench *bench)
{
    pending_free(bench->pending);
    tree_free(bench->now);
    tree_free(bench->previous);
    scratch_close(&bench->scratch);
}

static inline struct tree *scanned(struct bench *bench)
{
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    struct err err;

    EXPECT_OK(scan(bench->scratch.fd, "", "db*", &result, &err), &err);
    return MOVE(result.tree);
}

/* Looks, and holds what is new. */
static inline void see(struct bench *bench)
{
    tree_free(bench->now);
    bench->now = scanned(bench);
    pending_hold(bench->pending, bench->now, bench->previous);
}

/* What was seen is shipped now. */
static inline void ship(struct bench *bench)
{
    tree_free(bench->previous);
    bench->previous = scanned(bench);
    pending_settle(bench->pending, bench->previous);
}

/* The content as it would be read now; "gone" if there is none. */
static inline const char *reads(const struct bench *bench, const char *path)
{
    static char text[64];
    CLEANUP(guarded_file_closep) int fd = -1;
    struct err err;
    ssize_t got;

    if (!pending_read(bench->pending, 0, path, &fd, &err))
        return err.code == ERR_NOT_FOUND ? "gone" : err_code_name(err.code);
    got = read(fd, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static inline size_t count_links(const struct bench *bench)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(1 << 20);
    CLEANUP(close_fdp)
    int fd = openat(bench->scratch.fd, ".holdfast/pending", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t lines = 0;

    placing_list(fd, &text);
    for (const char *at = buf_text(&text); (at = strchr(at, '\n')); at++)
        lines++;
    return lines;
}

#endif
