/* restore --follow: a copy that is kept up to date until somebody stops it. */
#include "sidecar/command_read.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "sidecar/lifecycle.h"
#include "snapshot/standby.h"

#include <inttypes.h>
#include <unistd.h>

/* What goes on between two looks at the log. */
struct following {
    struct reading *reading;
    bool is_told; /* that the copy is up to date, once */
    bool is_away; /* the store, and that was told */
};

static void warn(void *context, const char *text)
{
    (void)context;
    log_warning("%s; the copy begins anew with the newest base", text);
}

static bool print_point(const struct standby_point *point, const char *time, struct err *err)
{
    CLEANUP(buf_clearp) struct buf line = BUF_INIT(256);

    buf_printf(&line, "{\"record\":%" PRIu64 ",\"time\":\"%s\"}\n", point->record, time);
    return buf_check(&line, "the line", err) && fs_write_all(STDOUT_FILENO, line.bytes, line.size, err);
}

/* A person hears once that the copy has caught up; a program hears of each advance. */
static bool tell(struct following *following, const struct standby *standby, bool moved, struct err *err)
{
    struct standby_point point = standby_point_of(standby);
    char time[CLOCK_TEXT_SIZE];

    clock_format(point.time_ns, time);
    progress_end(&following->reading->progress);
    if (following->is_away)
        log_info("the store answers again");
    following->is_away = false;
    if (following->is_told && !moved)
        return true;
    if (following->reading->invocation->arguments->json && !print_point(&point, time, err))
        return err_wrap(err, "standard output");
    if (following->is_told)
        log_debug("up to date at record %" PRIu64 ", time %s", point.record, time);
    else
        log_info("up to date at record %" PRIu64 ", time %s", point.record, time);
    following->is_told = true;
    return true;
}

/* Whether the look may be repeated: the store is away, and the copy has been up to date. */
static bool bears(struct following *following, const struct err *err)
{
    if (err->code != ERR_TRANSIENT || !following->is_told)
        return false;
    progress_end(&following->reading->progress);
    if (!following->is_away)
        log_warning("%s; the copy waits for the store", err->text);
    following->is_away = true;
    return true;
}

static bool look(struct following *following, struct standby *standby, bool *ret_moved, struct err *err)
{
    struct err why = {0};

    *ret_moved = false;
    if (standby_advance(standby, ret_moved, &why))
        return tell(following, standby, *ret_moved, err);
    if (bears(following, &why))
        return true;
    *err = why;
    return false;
}

static bool follow(struct reading *reading, struct standby *standby, struct err *err)
{
    struct following following = {.reading = reading};
    uint64_t interval_ms = reading->invocation->config->sync_interval_ms, pause_ms = 0;
    bool moved;

    do {
        if (!look(&following, standby, &moved, err))
            return false;
        pause_ms = standby_pause_ms(pause_ms, interval_ms, moved);
    } while (clock_pause(pause_ms, &reading->canceled));
    return true;
}

/* Being stopped is how it ends. */
static bool follow_until_stopped(void *context, struct err *err)
{
    struct reading *reading = context;
    struct reader_progress progress = {reading_report, reading};
    struct standby_config config = {.store = reading->store,
                                    .directory = reading->invocation->arguments->to,
                                    .progress = &progress,
                                    .canceled = &reading->canceled,
                                    .warn = warn};
    CLEANUP(standby_freep) struct standby *standby = NULL;
    struct err why = {0};

    if (standby_open(&config, &standby, &why) && follow(reading, standby, &why))
        return true;
    *err = why;
    return why.code == ERR_CANCELED;
}

int command_follow(const struct invocation *invocation)
{
    struct reading reading = {.invocation = invocation, .output = BUF_INIT(READING_OUTPUT_MAX)};
    int code;

    if (invocation->arguments->at) {
        log_error("--at and --follow exclude each other: a copy that follows stands at the newest record");
        return EXIT_CONFIG;
    }
    code = reading_execute(&reading, follow_until_stopped, "restoring");
    buf_clear(&reading.output);
    return code;
}
