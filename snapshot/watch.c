/* inotify, made into a number and a set of paths.
 *
 * The number is half of what `sync` durability rests on: a response is released when everything up to the
 * number read after its last byte is in the store. So an event must never be missed, while one counted twice
 * costs a look. The set has to hold all that the number stands for, or a scan of it alone would miss what the
 * number promises: where a path is not known for certain, the set is everything.
 *
 * - A new directory is watched while the queue is being read, before the number is returned: a file made in
 * it before the watch was there is found by the scan that follows, one made after it moves the number.
 * - Directories are known by watch descriptor, that is by inode; a renamed one keeps its watch, and its place
 * in our tree follows from the event of its new parent. One that left for where we don't watch is told by
 * IN_MOVE_SELF: it is no longer where we think. It is dropped only DETACHED_MS later, for a rename is visible
 * a moment before its event is queued, and in that moment the directory may be about to turn up elsewhere in
 * the tree.
 * - When the queue overflows, all is walked again.
 * - A directory that was seen to leave its name and not yet to arrive at another may be anywhere.
 *
 * IN_EXCL_UNLINK is not asked for: an unlinked name may have been one of several of its file. IN_CLOSE_WRITE
 * is, for writers through mmap(2). Events of a directory about itself are left to its parent's watch. */
#include "snapshot/watch.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"
#include "base/walk.h"
#include "snapshot/scan.h"
#include "snapshot/watch_names.h"
#include "snapshot/watch_nodes.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum {
    DETACHED_MS = 100,
    EVENTS_SIZE = 16 << 10,
    NAME_EVENTS = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO,
    WATCHED_EVENTS = NAME_EVENTS | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF | IN_ONLYDIR,
};

struct watch {
    int fd; /* inotify, or, where there is none to be had, an event that is never raised */
    int directory_fd;
    const struct globs *exclude;
    pthread_mutex_t mutex; /* guards everything below */
    uint64_t counter;
    struct touched touched; /* since it was taken last */
    uint32_t on_its_way;    /* the cookie of a directory that has left its name; 0: none */
    bool partial;
    struct watch_nodes nodes;
    struct watch_node *top;
    struct watch_names databases;
    struct buf path; /* of the event at hand */
    struct buf events;
};

/* --- watching directories ---------------------------------------------------------------------------- */

/* The nodes of the directories that a walk has yet to visit, in step with its stack. */
struct visit {
    struct walk walk;
    struct watch_node **parents;
    size_t capacity;
};

static void visit_clearp(struct visit *visit)
{
    walk_clear(&visit->walk);
    free(visit->parents);
}

static void note_parent(struct visit *visit, struct watch_node *parent)
{
    size_t at = visit->walk.pending_count - 1;

    if (at >= visit->capacity) {
        visit->capacity = at + 1 + at / 2;
        visit->parents = xrealloc(visit->parents, visit->capacity * sizeof(struct watch_node *));
    }
    visit->parents[at] = parent;
}

/* NULL if there is no watch to be had for it. */
static struct watch_node *watch_current(struct watch *watch, const struct visit *visit,
                                        struct watch_node *parent)
{
    const char *slash = strrchr(visit->walk.path, '/');
    struct watch_node *node;
    struct stat status;
    char link[64];
    int wd;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", visit->walk.fd);
    if (fstat(visit->walk.fd, &status) != 0)
        return NULL;
    wd = inotify_add_watch(watch->fd, link, WATCHED_EVENTS);
    if (wd < 0)
        return NULL;
    node = watch_nodes_set(&watch->nodes, wd, status.st_ino, parent, slash ? slash + 1 : visit->walk.path);
    if (node->parent != parent)
        touched_add_all(&watch->touched, 0); /* our picture is older than the disk */
    return node;
}

static bool is_left_alone(const struct watch *watch, const char *path)
{
    return scan_is_reserved(path) || globs_match(watch->exclude, path);
}

static void enter_below(const struct watch *watch, struct visit *visit, struct watch_node *node)
{
    struct walk *walk = &visit->walk;

    for (size_t at = 0; at < walk->count; at++) {
        const char *path = walk_join(walk, walk_name(walk, at));
        if (!walk_is_directory(walk, at) || is_left_alone(watch, path))
            continue;
        walk_enter(walk, path);
        note_parent(visit, node);
    }
}

/* Watches the directory at the beginning of the walk and everything below it, each before it is listed. */
static bool watch_all(struct watch *watch, struct visit *visit, struct err *err)
{
    while (walk_next(&visit->walk, err)) {
        /* The one just taken from the stack was at its end; the top of all was never on it. */
        struct watch_node *parent = *visit->walk.path ? visit->parents[visit->walk.pending_count] : NULL;
        struct watch_node *node = watch_current(watch, visit, parent);
        if (!node) {
            watch->partial = true;
            return true;
        }
        if (!parent)
            watch->top = node;
        if (!walk_list(&visit->walk, err))
            return false;
        enter_below(watch, visit, node);
    }
    return !visit->walk.failed;
}

/* From the top. Directories of ours that it doesn't meet have left the tree. */
static bool watch_tree(struct watch *watch, struct err *err)
{
    CLEANUP(visit_clearp) struct visit visit = {0};

    watch->nodes.round++;
    walk_begin(&visit.walk, watch->directory_fd);
    if (!watch_all(watch, &visit, err))
        return false;
    if (!watch->partial)
        watch_nodes_detach_unseen(&watch->nodes, clock_monotonic_ms());
    return true;
}

static void watch_new(struct watch *watch, struct watch_node *parent, const char *path)
{
    CLEANUP(visit_clearp) struct visit visit = {0};
    struct err err; /* the scan that this event asks for meets the same fault and reports it */

    walk_begin_at(&visit.walk, watch->directory_fd, path);
    note_parent(&visit, parent);
    if (!watch_all(watch, &visit, &err))
        watch->partial = true;
}

static void drop_watch(void *context, int wd)
{
    const struct watch *watch = context;

    (void)inotify_rm_watch(watch->fd, wd); /* gone already if the directory is */
}

/* --- events ------------------------------------------------------------------------------------------ */

/* The two halves of a directory's rename need not be read at once. */
static void follow_move(struct watch *watch, const struct inotify_event *event)
{
    if ((event->mask & IN_MOVED_TO) && event->cookie == watch->on_its_way)
        watch->on_its_way = 0;
    if (!(event->mask & IN_MOVED_FROM) || !(event->mask & IN_ISDIR))
        return;
    if (watch->on_its_way != 0)
        touched_add_all(&watch->touched, 0);
    watch->on_its_way = event->cookie;
}

static void note(struct watch *watch, const char *path, const struct touched_path *what)
{
    struct touched_path *added;

    watch->counter++;
    if (watch->touched.all)
        return;
    added = touched_add(&watch->touched, path, what->directory_inode, what->below);
    if (added)
        added->written = added->written || what->written;
}

static void handle_named(struct watch *watch, struct watch_node *node, const struct inotify_event *event)
{
    bool arrived = (event->mask & IN_ISDIR) && (event->mask & (IN_CREATE | IN_MOVED_TO));
    struct touched_path what = {
        .directory_inode = node == watch->top ? 0 : node->inode,
        .below = arrived,
        .written = (event->mask & (IN_MODIFY | IN_CLOSE_WRITE)) != 0,
    };
    const char *path;

    follow_move(watch, event);
    if (!watch_node_path(node, &watch->path)) {
        touched_add_all(&watch->touched, 0);
        watch->counter++;
        return;
    }
    buf_printf(&watch->path, "%s%s", watch->path.size > 0 ? "/" : "", event->name);
    path = buf_text(&watch->path);
    if (is_left_alone(watch, path) ||
        watch_names_own(&watch->databases, path, (event->mask & NAME_EVENTS) != 0))
        return;
    note(watch, path, &what);
    if (arrived)
        watch_new(watch, node, path);
}

/* Is it still at its place? An event of its new parent has been handled before this, if it has one. */
static void handle_moved(struct watch *watch, struct watch_node *node)
{
    CLEANUP(close_fdp) int fd = -1;
    struct stat status;
    struct err ignored;

    if (node == watch->top || !watch_node_path(node, &watch->path))
        return;
    if (!is_left_alone(watch, buf_text(&watch->path)) &&
        fs_open_directory_beneath(watch->directory_fd, buf_text(&watch->path), &fd, &ignored) &&
        fstat(fd, &status) == 0 && status.st_ino == node->inode)
        return;
    watch_nodes_detach(&watch->nodes, node, clock_monotonic_ms());
}

static void handle_gone(struct watch *watch, struct watch_node *node)
{
    if (node ==
        watch->top) { /* the data directory itself was removed or unmounted: nothing to be seen any more */
        watch->partial = true;
        watch->top = NULL;
        watch->counter++;
    }
    watch_nodes_remove(&watch->nodes, node, drop_watch, watch);
}

static void handle(struct watch *watch, const struct inotify_event *event)
{
    struct watch_node *node = watch_nodes_find(&watch->nodes, event->wd);
    struct err ignored;

    if (event->mask & IN_Q_OVERFLOW) {
        watch->counter++;
        touched_add_all(&watch->touched, 0);
        watch->partial = !watch_tree(watch, &ignored) || watch->partial;
        return;
    }
    if (!node)
        return; /* of a directory that was dropped meanwhile */
    if (event->mask & IN_UNMOUNT)
        watch->partial = true; /* what it covered is in sight again, and not watched */
    if (event->mask & IN_IGNORED)
        handle_gone(watch, node);
    else if (event->mask & IN_MOVE_SELF)
        handle_moved(watch, node);
    else if (event->len > 0)
        handle_named(watch, node, event);
}

/* Returns the bytes of the events read, 0 if there are none. */
static size_t read_events(struct watch *watch)
{
    ssize_t got = read(watch->fd, watch->events.bytes, EVENTS_SIZE);

    for (ssize_t at = 0; at < got;) {
        struct inotify_event *event = (struct inotify_event *)(void *)(watch->events.bytes + at);
        handle(watch, event);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    return got > 0 ? (size_t)got : 0;
}

/* The mutex is held. */
static void read_waiting(struct watch *watch)
{
    int waiting = 0;

    if (watch->nodes.detached > 0)
        watch_nodes_remove_detached(&watch->nodes, clock_monotonic_ms() - DETACHED_MS, drop_watch, watch);
    /* What is queued now, and not what a busy writer adds meanwhile, or this might never end. */
    if (ioctl(watch->fd, FIONREAD, &waiting) != 0)
        waiting = 0;
    for (size_t left = (size_t)waiting, got; left > 0 && (got = read_events(watch)) > 0;)
        left = got < left ? left - got : 0;
}

uint64_t watch_drain(struct watch *watch)
{
    MUTEX_GUARD(&watch->mutex);
    read_waiting(watch);
    return watch->counter;
}

uint64_t watch_take(struct watch *watch, struct touched *ret_touched)
{
    MUTEX_GUARD(&watch->mutex);
    read_waiting(watch);
    if (watch->partial || watch->on_its_way != 0)
        touched_add_all(&watch->touched, 0);
    watch->on_its_way = 0;
    *ret_touched = watch->touched;
    watch->touched = (struct touched){.most = TOUCHED_MAX};
    return watch->counter;
}

/* --- databases --------------------------------------------------------------------------------------- */

void watch_ignore_database(struct watch *watch, const char *path)
{
    MUTEX_GUARD(&watch->mutex);
    watch_names_add(&watch->databases, path);
    (void)touched_add(&watch->touched, path, 0, false);
}

void watch_forget_database(struct watch *watch, const char *path)
{
    MUTEX_GUARD(&watch->mutex);
    watch_names_remove(&watch->databases, path);
    (void)touched_add(&watch->touched, path, 0, false);
}

/* --- life -------------------------------------------------------------------------------------------- */

static bool open_queue(struct watch *watch, struct err *err)
{
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd >= 0)
        return true;
    watch->partial = true; /* fs.inotify.max_user_instances */
    return event_open(&watch->fd, err);
}

bool watch_open(int directory_fd, const struct globs *exclude, struct watch **ret_watch, struct err *err)
{
    CLEANUP(watch_freep) struct watch *watch = xcalloc(1, sizeof(*watch));

    watch->fd = -1;
    watch->directory_fd = directory_fd;
    watch->exclude = exclude;
    watch->path.size_max = 64 << 10;
    watch->events.size_max = EVENTS_SIZE;
    watch->touched = (struct touched){.most = TOUCHED_MAX, .all = true};
    (void)buf_extend(&watch->events, EVENTS_SIZE);
    pthread_mutex_init(&watch->mutex, NULL);
    if (!open_queue(watch, err) || (!watch->partial && !watch_tree(watch, err)))
        return err_wrap(err, "watch the data directory");
    *ret_watch = MOVE(watch);
    return true;
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    close_fdp(&watch->fd);
    watch_nodes_clear(&watch->nodes);
    touched_clear(&watch->touched);
    watch_names_clear(&watch->databases);
    buf_clear(&watch->path);
    buf_clear(&watch->events);
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

bool watch_is_partial(struct watch *watch)
{
    MUTEX_GUARD(&watch->mutex);
    return watch->partial;
}
