/* Telling at once that something in the tree has changed, without asking the disk: inotify on every directory
 * that is not excluded.
 *
 * It gives three things: a counter that moves with every relevant event, exact because the kernel queues an
 * event before the writer's system call returns (so "queue read empty" means "everything before now was
 * seen"); the paths that these events name; and a descriptor that wakes the engine. What changed is found by
 * looking there: whoever takes the paths and then scans has seen everything that the counter stands for. A
 * queue overflow or a new directory moves the counter like any change. One change may move it more than once.
 *
 * What doesn't count: .holdfast and lost+found, excluded paths, and the content of databases and all about
 * their -wal, -shm and -journal, for commits are counted from the wal-index. A database that is created,
 * removed or replaced counts. What a program writes through mmap(2) is seen only when it closes the file:
 * inotify(7) says so, and no other means would tell earlier. */
#ifndef SNAPSHOT_WATCH_H
#define SNAPSHOT_WATCH_H

#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/globs.h"
#include "snapshot/touched.h"

#include <stdint.h>

struct watch;

/* Watches directory_fd (borrowed, as is exclude) and everything below. Where inotify's limits don't allow
 * that, *ret_watch works all the same but watch_is_partial() is true: scan on a timer. ERR_DENIED for a
 * directory that may not be read. */
bool watch_open(int directory_fd, const struct globs *exclude, struct watch **ret_watch,
                struct err *err) CHECKED;
void watch_free(struct watch *watch);
DEFINE_CLEANUP(struct watch *, watch_free, watch_freep)

/* Readable when events wait, unless another thread's watch_drain() was there first: whoever sleeps on it also
 * has to look at the counter, or be told. */
int watch_fd(const struct watch *watch);
/* Reads the queue empty and returns the counter. New directories are watched before they are listed, so that
 * nothing between is missed. Any thread; a short mutex, no waiting; the disk only when a directory is new. */
uint64_t watch_drain(struct watch *watch);
/* The same, and hands over what was touched since it was taken last (moved; all of it at first, and whenever
 * that can't be known). The counter stands for exactly this and what was taken before. Any thread. */
uint64_t watch_take(struct watch *watch, struct touched *ret_touched);
/* Names a path that is a database: its own events and those of its side files no longer count. Both
 * calls touch the path. Any thread. */
void watch_ignore_database(struct watch *watch, const char *path);
void watch_forget_database(struct watch *watch, const char *path);
/* True from the moment on when a directory could not be watched (fs.inotify.max_user_watches). Any thread. */
bool watch_is_partial(struct watch *watch);

#endif
