/* Between follower.c (positions, freezing, the life of it), follower_look.c (what to look at, and when) and
 * follower_attach.c (attaching the databases that were found). */
#ifndef SNAPSHOT_FOLLOWER_INTERNAL_H
#define SNAPSHOT_FOLLOWER_INTERNAL_H

#include "base/thread.h"
#include "snapshot/follower.h"

#include <sys/stat.h>

enum { DATABASES_MAX = 64 };

struct followed {
    struct base_database source; /* path owned */
    uint64_t device;
    uint64_t inode;
};

/* One that is there and isn't followed. */
struct avoided {
    char *path;
    char *why;
    uint64_t since_ms; /* of clock_monotonic_ms() */
    uint64_t since_ns; /* the same, of the wall clock */
    uint64_t retry_ms; /* 0: by the next refresh */
    uint64_t pause_ms; /* between the last attempt and the next */
    struct statx seen; /* the file, when it was last tried in vain; zeroed: not known */
    bool is_passive;   /* there is nothing to try: there are too many, or it is to be a plain file */
};

/* One that begins like a database, and that SQLite refuses as none: as it was then. */
struct refused {
    char *path;
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t mtime_ns;
};

/* When a scan ended, and how long it took. */
struct look_pace {
    uint64_t ended_ms;
    uint64_t duration_ms;
};

struct follower {
    struct follower_config config;
    struct watch *watch;
    uint64_t scanned_events; /* the watch's counter before the last scan */
    bool scanned;            /* it has succeeded */
    struct look_pace whole;  /* scans of everything */
    struct look_pace part;   /* all scans, and how long those of a part take */
    uint64_t looks;
    struct touched touched;      /* since what was settled */
    struct touched written;      /* files that were written to since they were read for it */
    struct scan_database *found; /* databases that are there, as of the last scan */
    size_t found_count;
    char untold[256]; /* a change that no event has told of so far; "": none */
    bool warned_untold;
    char waiting[256]; /* a database that is there and couldn't be attached yet; empty: none */

    pthread_mutex_t mutex; /* guards what follows, which follower_position() reads from any thread */
    struct followed followed[DATABASES_MAX];
    size_t count;
    uint64_t departed; /* commits seen in databases that are gone, so that the sum never falls */
    uint64_t noted;    /* other changes that no event tells of; begins at 1 */

    void (*leave)(void *context, const struct database *database); /* may be NULL */
    void *leave_context;
    struct base_database list[DATABASES_MAX]; /* what follower_databases() shows */
    struct avoided *avoided;                  /* ascending path */
    size_t avoided_count;
    size_t avoided_capacity;
    uint64_t avoided_changes;
    struct refused *refused; /* ascending path */
    size_t refused_count;
    uint64_t refusals; /* counts them */
    bool warned_skipped;
    bool warned_orphan;
    bool warned_full;
    bool warned_plain;
};

struct followed *follower_find(struct follower *follower, const char *path);
/* Lets go of a database. Its commits stay in the position; that it went is a change too. */
void follower_drop(struct follower *follower, struct followed *gone);

/* follower_attach.c. */
void follower_warn(const struct follower *follower, const char *format, ...) PRINTF_LIKE(2, 3);
/* Lets go of what is no longer the file at its path. */
void follower_drop_stale(struct follower *follower, bool *ret_steady);
/* Attaches what the scan has found. */
bool follower_attach_found(struct follower *follower, const struct scan_result *scan, bool *ret_steady,
                           struct err *err) CHECKED;
/* Whether an attempt to attach is due that no event will ask for. */
bool follower_wants_attempt(struct follower *follower, uint64_t now_ms);
/* follower_untold.c. Notes, to be looked at and shipped, where `now` (of a scan of everything, just made)
 * differs from `before` though nothing that was touched accounts for it. */
void follower_find_untold(struct follower *follower, struct tree *before, struct tree *now);
/* These events have come since. */
void follower_note_told(struct follower *follower, const struct touched *touched);
/* Says what is still untold. */
void follower_warn_of_untold(struct follower *follower, unsigned minutes);
/* follower_written.c. Notes what was taken for this look of what somebody has written to. */
void follower_note_written(struct follower *follower, const struct touched *touched, uint64_t look);
/* Has what was written to since it was read look changed in this tree. */
void follower_distrust_written(struct follower *follower, struct tree *tree);
/* follower_look.c. Something has happened to the path that no event tells of: it is looked at and shipped. */
void follower_touch(struct follower *follower, const char *path);
/* Forgets all that it remembers. */
void follower_clear_looks(struct follower *follower);

/* follower_avoid.c. Remembers a database that can't be followed, warns of it once, and sets the time of the
 * next attempt. seen: the file after that attempt; NULL: not known. */
void follower_avoid(struct follower *follower, const char *path, const struct statx *seen,
                    const struct err *why);
/* The same for one that there is no room for; and for one that is to be a plain file, with a log that no
 * record holds. */
void follower_avoid_excess(struct follower *follower, const char *path);
void follower_avoid_plain(struct follower *follower, const char *path);
/* Whether the time of the next attempt has come, and it may succeed; if not, sets the time anew. */
bool follower_may_try(struct follower *follower, struct avoided *avoided);
/* NULL: none of that path. */
struct avoided *follower_find_avoided(struct follower *follower, const char *path);
void follower_forget_avoided(struct follower *follower, struct avoided *avoided);
/* Forgets those that the scan hasn't found. */
void follower_forget_vanished(struct follower *follower, const struct scan_result *scan);
void follower_clear_avoided(struct follower *follower);

/* Which file has the name; zeroed: none. The number of one that is gone is given to the next, but not its
 * birth. */
struct statx follower_file_at(const struct follower *follower, const char *path);
bool follower_is_same_file(const struct statx *one, const struct statx *other);
/* The same, and nobody has written to it. */
bool follower_is_unchanged(const struct statx *one, const struct statx *other);

/* follower_refused.c. From here on, for as long as it stays as it is, the file is a plain one. */
void follower_refuse(struct follower *follower, const char *path, const struct stat *status);
/* For struct scan_options, with the follower as context. */
bool follower_is_refused(void *context, const char *path, const struct stat *status);
/* It is followed as a database. True: it was refused before. */
bool follower_accept(struct follower *follower, const char *path);
/* Forgets those that a scan of everything hasn't found. */
void follower_forget_refused(struct follower *follower, const struct scan_result *scan);
void follower_clear_refused(struct follower *follower);

#endif
