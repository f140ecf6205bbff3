/* The scratch directory is `.holdfast/drill/`, on the disk whose room is known to be meant for this data, and
 * never replicated. It is not $TMPDIR, which is memory in many containers. SQLite opens only copies there,
 * inodes of their own: closing one of those drops no lock of an attached database.
 *
 * The thread steps back behind the application for the processor and for the disk (nice and ioprio of a
 * thread, which the workers that it starts inherit). What it can't step back from is the room: a copy is made
 * only where two would fit, so that the application never meets a full disk because of it. */
#include "snapshot/drill.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"
#include "snapshot/reader.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ioprio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { DAMAGES_TOLD_MAX = 10, LOWEST_PRIORITY = 19, WAIT_MAX_MS = 3600 * 1000 };

static const char folder[] = ".holdfast/drill";

struct drill {
    struct drill_config config;
    int stop_fd;
    pthread_t thread;
    bool started;

    pthread_mutex_t mutex; /* guards status */
    struct drill_status status;
};

/* One of them, while it lasts. */
struct exercise {
    struct drill *drill;
    size_t damages;
    char first[1100];
};

/* Fails where a container may not; then the drill is only as polite as the scheduler makes it. */
static void step_back(void)
{
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), LOWEST_PRIORITY);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

static void note_damage(void *context, const char *key, const char *reason)
{
    struct exercise *exercise = context;
    const struct drill_config *config = &exercise->drill->config;
    CLEANUP(freep) char *text = xasprintf("%s: %s", key, reason);

    if (exercise->damages == 0)
        (void)snprintf(exercise->first, sizeof(exercise->first), "%s", text);
    if (exercise->damages++ < DAMAGES_TOLD_MAX)
        config->tell(config->context, DRILL_DAMAGE, text);
}

/* Also what a killed process left there. */
static bool remove_scratch(const struct drill *drill, struct err *err)
{
    CLEANUP(close_fdp) int directory_fd = -1;

    return fs_open_directory(AT_FDCWD, drill->config.data_directory, &directory_fd, err) &&
           fs_remove_tree(directory_fd, folder, err);
}

static bool make_scratch(const struct drill *drill, struct err *err)
{
    CLEANUP(close_fdp) int directory_fd = -1;

    return remove_scratch(drill, err) &&
           fs_open_directory(AT_FDCWD, drill->config.data_directory, &directory_fd, err) &&
           fs_make_directories(directory_fd, folder, 0700, err);
}

static bool restore_points(struct exercise *exercise, const struct reader_damage *damage,
                           struct reader_points *ret_points, struct err *err)
{
    const struct drill *drill = exercise->drill;
    CLEANUP(freep) char *path = xasprintf("%s/%s", drill->config.data_directory, folder);
    struct reader_trial trial = {
        .directory = path,
        .remedy = "give HOLDFAST_DATA_DIR a larger disk, or drill elsewhere with `holdfast verify --deep`",
        .fits_twice = true,
        .damage = damage,
    };
    struct err left = {0};
    bool sound;

    if (!make_scratch(drill, err))
        return false;
    sound = reader_try(drill->config.store, &trial, NULL, drill->config.canceled, ret_points, err);
    if (remove_scratch(drill, &left) || !sound)
        return sound;
    *err = left;
    return false;
}

/* As `verify --deep`: what is damaged already isn't restored on top. */
static bool rehearse(struct exercise *exercise, struct reader_points *ret_points, struct err *err)
{
    const struct drill_config *config = &exercise->drill->config;
    struct reader_damage damage = {note_damage, exercise};
    struct reader_result result;

    return reader_verify(config->store, &damage, NULL, config->canceled, &result, err) &&
           restore_points(exercise, &damage, ret_points, err);
}

static void note_success(struct drill *drill, const struct reader_points *points)
{
    const struct drill_config *config = &drill->config;
    CLEANUP(freep)
    char *text = xasprintf("everything in the store is whole, record %" PRIu64
                           " and %zu points in all were restored "
                           "and checked",
                           points->list[0].record, points->count);

    mutex_locked(&drill->mutex);
    drill->status.success_ns = clock_unix_ns();
    drill->status.problem[0] = '\0';
    pthread_mutex_unlock(&drill->mutex);
    config->tell(config->context, DRILL_PASSED, text);
}

static void note_problem(struct exercise *exercise, const struct err *why)
{
    struct drill *drill = exercise->drill;
    const struct drill_config *config = &drill->config;
    bool failed = why->code != ERR_CONFIG;
    const char *text = exercise->damages > 0 ? exercise->first : why->text;

    mutex_locked(&drill->mutex);
    if (failed) {
        drill->status.failure_ns = clock_unix_ns();
        drill->status.failures++;
    }
    (void)snprintf(drill->status.problem, sizeof(drill->status.problem), "%s", text);
    pthread_mutex_unlock(&drill->mutex);
    config->tell(config->context, failed ? DRILL_FAILED : DRILL_SKIPPED, why->text);
}

static void set_running(struct drill *drill, bool running)
{
    MUTEX_GUARD(&drill->mutex);
    drill->status.running = running;
}

static void hold_drill(struct drill *drill)
{
    struct exercise exercise = {.drill = drill};
    struct reader_points points = {.count = 0};
    struct err err = {0};
    bool passed;

    set_running(drill, true);
    passed = rehearse(&exercise, &points, &err);
    set_running(drill, false);
    /* What a stop has cut short says nothing about the store. */
    if (passed)
        note_success(drill, &points);
    else if (!atomic_load(drill->config.canceled))
        note_problem(&exercise, &err);
}

/* False: no other will come. */
static bool await_turn(struct drill *drill, uint64_t begin_ms)
{
    const struct drill_config *config = &drill->config;

    for (;;) {
        uint64_t now_ms = clock_monotonic_ms(), due_ms = begin_ms + config->interval_ms;
        if (atomic_load(config->canceled))
            return false;
        if (now_ms >= due_ms)
            return true;
        (void)event_wait(drill->stop_fd,
                         (int)(due_ms - now_ms < WAIT_MAX_MS ? due_ms - now_ms : WAIT_MAX_MS));
    }
}

static void *drill_run(void *context)
{
    struct drill *drill = context;
    uint64_t begin_ms = clock_monotonic_ms();
    struct err ignored = {0}; /* the next one meets it again, and tells */

    step_back();
    (void)!remove_scratch(drill, &ignored);
    while (await_turn(drill, begin_ms)) {
        begin_ms = clock_monotonic_ms();
        hold_drill(drill);
    }
    return NULL;
}

bool drill_open(const struct drill_config *config, struct drill **ret_drill, struct err *err)
{
    struct drill *drill = xcalloc(1, sizeof(*drill));

    assert(config->interval_ms > 0 && config->tell);
    drill->config = *config;
    pthread_mutex_init(&drill->mutex, NULL);
    if (!event_open(&drill->stop_fd, err)) {
        drill->stop_fd = -1;
        drill_free(drill);
        return false;
    }
    *ret_drill = drill;
    return true;
}

bool drill_begin(struct drill *drill, struct err *err)
{
    assert(!drill->started);
    drill->started = thread_start(&drill->thread, "drill", drill_run, drill, err);
    return drill->started;
}

void drill_cancel(struct drill *drill)
{
    if (!drill)
        return;
    atomic_store(drill->config.canceled, true);
    event_raise(drill->stop_fd);
}

void drill_free(struct drill *drill)
{
    if (!drill)
        return;
    if (drill->started) {
        drill_cancel(drill);
        pthread_join(drill->thread, NULL);
    }
    close_fdp(&drill->stop_fd);
    pthread_mutex_destroy(&drill->mutex);
    free(drill);
}

void drill_status(struct drill *drill, struct drill_status *ret_status)
{
    MUTEX_GUARD(&drill->mutex);
    *ret_status = drill->status;
}
