/* Telling at once that something in the tree has changed, without asking the disk: inotify on every directory
 * that is not excluded.
 *
 * It gives two things: a counter that moves with every relevant event, exact because the kernel queues an
 * event before the writer's system call returns (so "queue read empty" means "everything before now was
 * seen"); and a descriptor that wakes the engine. What changed is found by scanning; a queue overflow or a
 * new directory only asks for another scan. Events of excluded paths and of databases (their own file, -wal,
 * -shm, -journal) don't count: commits are counted from the wal-index. */
#ifndef SNAPSHOT_WATCH_H
#define SNAPSHOT_WATCH_H

#include "base/cleanup.h"
#include "base/err.h"
#include "snapshot/scan.h"

struct watch;

/* Watches directory_fd and everything below. Where inotify's limits don't allow that, *ret_watch works all
 * the same but watch_is_partial() is true: scan on a timer. */
bool watch_open(int directory_fd, const struct globs *exclude, struct watch **ret_watch,
                struct err *err) CHECKED;
void watch_free(struct watch *watch);
DEFINE_CLEANUP(struct watch *, watch_free, watch_freep)

/* Readable when events wait. */
int watch_fd(const struct watch *watch);
/* Reads the queue empty and returns the counter. New directories are watched before they are listed, so that
 * nothing between is missed. Any thread; a short mutex, no blocking. */
uint64_t watch_drain(struct watch *watch);
/* Names a path that is a database: its own events and those of its side files no longer count. Any thread. */
void watch_ignore_database(struct watch *watch, const char *path);
void watch_forget_database(struct watch *watch, const char *path);
bool watch_is_partial(const struct watch *watch);

#endif
