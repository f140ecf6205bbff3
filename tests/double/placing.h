/* Restoring a small tree that a test writes down as a table. */
#ifndef TESTS_DOUBLE_PLACING_H
#define TESTS_DOUBLE_PLACING_H

#include "base/buf.h"
#include "snapshot/place.h"

#include <stdint.h>

/* One path of a tree to be restored. */
struct placed {
    const char *path;
    const char *content; /* of a file or a database; a symlink's target */
    /* 'f'ile, 's'tring: a file with the NUL at the end, 'd'irectory, sym'l'ink, data'b'ase, or 'k'ept: a
     * file that stays */
    char kind;
    uint32_t mode;
    int64_t mtime_ns;
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define EXPECT_LISTING(fd, wanted)                                \
    do {                                                          \
        CLEANUP(buf_clearp) struct buf text_ = BUF_INIT(1 << 20); \
        placing_list((fd), &text_);                               \
        EXPECT_STR(buf_text(&text_), (wanted));                   \
    } while (0)

enum { PLACED_MAX = 16 };

/* All of a restore, from place_begin() to place_finish(). */
bool placing_restore(int directory_fd, const char *aside, const char *exclude, const struct placed *placed,
                     size_t count, size_t *ret_set_aside, struct err *err) CHECKED;

/* With this double, syncfs() only calls this, if it isn't NULL. */
extern void (*placing_on_sync)(void);

/* Everything below the directory but what is below .holdfast, one line for each path: "path/", "path ->
 * target", "path = content". */
void placing_list(int directory_fd, struct buf *text);

#endif
