/* Scanning a directory in one line of a test. */
#ifndef TESTS_DOUBLE_SCANNING_H
#define TESTS_DOUBLE_SCANNING_H

#include "base/buf.h"
#include "snapshot/scan.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

#define MAGIC "SQLite format 3"
static const char sqlite_bytes[512] = MAGIC;

static inline void write_database(int directory_fd, const char *path)
{
    scratch_write_bytes(directory_fd, path, sqlite_bytes, sizeof(sqlite_bytes));
}

static inline struct globs *globs(const char *text)
{
    struct globs *parsed = NULL;
    struct err err;

    if (!globs_parse(text, &parsed, &err))
        abort();
    return parsed;
}

/* Scans with these patterns. */
static inline bool scan(int directory_fd, const char *exclude, const char *databases,
                        struct scan_result *ret_result, struct err *err)
{
    CLEANUP(globs_freep) struct globs *excluded = globs(exclude);
    CLEANUP(globs_freep) struct globs *followed = globs(databases);
    struct scan_options options = {.exclude = excluded, .databases = followed};

    return scan_directory(directory_fd, &options, ret_result, err);
}

/* The paths of the tree, then "|", then those of the databases, with "+" behind those that are plain files
 * too.
 */
static inline void list(struct scan_result *result, struct buf *text)
{
    for (size_t at = 0; at < tree_count(result->tree); at++)
        buf_printf(text, "%s ", tree_path(result->tree, tree_at(result->tree, at)));
    buf_add_text(text, "|");
    for (size_t at = 0; at < result->databases_count; at++)
        buf_printf(text, " %s%s", result->databases[at].path, result->databases[at].is_plain ? "+" : "");
}

#define EXPECT_SCAN(fd, exclude, databases, wanted)                             \
    do {                                                                        \
        CLEANUP(scan_result_clearp) struct scan_result result_ = {0};           \
        CLEANUP(buf_clearp) struct buf text_ = BUF_INIT(1 << 20);               \
        struct err err_;                                                        \
        REQUIRE_OK(scan((fd), (exclude), (databases), &result_, &err_), &err_); \
        list(&result_, &text_);                                                 \
        EXPECT_STR(buf_text(&text_), (wanted));                                 \
    } while (0)

#endif
