/* verify: everything is read back and proved; --deep: and restored, and judged by SQLite. A store that the
 * first finds damaged is not restored: what is wrong has been named already. */
#include "sidecar/command_read.h"

#include "base/log.h"

#include <string.h>

static void add_damage(void *context, const char *key, const char *reason)
{
    struct reading *reading = context;

    log_error("%s: %s", key, reason);
    if (reading->invocation->arguments->json) {
        buf_add_text(&reading->output, reading->entries > 0 ? ",{\"key\":" : "{\"key\":");
        buf_add_json(&reading->output, key);
        buf_add_text(&reading->output, ",\"reason\":");
        buf_add_json(&reading->output, reason);
        buf_add_text(&reading->output, "}");
    }
    reading->entries++;
}

/* $TMPDIR, or /tmp. */
static const char *scratch_directory(char *const *environment)
{
    static const char name[] = "TMPDIR=";

    for (; *environment; environment++)
        if (strncmp(*environment, name, sizeof(name) - 1) == 0 && (*environment)[sizeof(name) - 1])
            return *environment + sizeof(name) - 1;
    return "/tmp";
}

static bool try_points(struct reading *reading, struct reader_points *points, struct err *err)
{
    struct reader_progress progress = {reading_report, reading};
    struct reader_damage damage = {add_damage, reading};
    struct reader_trial trial = {.directory = scratch_directory(reading->invocation->environment),
                                 .remedy = "set TMPDIR to a directory with more room",
                                 .damage = &damage};

    if (!reader_try(reading->store, &trial, &progress, &reading->canceled, points, err))
        return false;
    for (size_t at = 0; at < points->count; at++)
        reading_tell(reading, &points->list[at], "restored and checked");
    return true;
}

static void add_points(struct reading *reading, const struct reader_points *points)
{
    buf_add_text(&reading->output, ",\"deep\":true,\"points\":[");
    for (size_t at = 0; at < points->count; at++) {
        buf_add_text(&reading->output, at > 0 ? "," : "");
        reading_add_result(reading, &points->list[at]);
        buf_add_text(&reading->output, "}");
    }
    buf_add_text(&reading->output, "]");
}

/* Of a store that isn't whole nothing is known that could be called its state. */
static void add_verdict(struct reading *reading, const struct reader_points *points, bool verified,
                        bool sound)
{
    buf_add_text(&reading->output, "]");
    if (reading->invocation->arguments->deep)
        add_points(reading, points);
    buf_printf(&reading->output, ",\"sound\":%s,\"result\":", sound ? "true" : "false");
    if (verified)
        reading_add_result(reading, &reading->result);
    buf_add_text(&reading->output, verified ? "}}\n" : "null}\n");
}

static bool verify_store(void *context, struct err *err)
{
    struct reading *reading = context;
    struct reader_progress progress = {reading_report, reading};
    struct reader_damage damage = {add_damage, reading};
    struct reader_points points = {.count = 0};
    bool json = reading->invocation->arguments->json, verified, sound;

    buf_add_text(&reading->output, json ? "{\"damaged\":[" : "");
    verified = reader_verify(reading->store, &damage, &progress, &reading->canceled, &reading->result, err);
    if (verified)
        reading_tell(reading, &reading->result, "verified");
    sound = verified;
    if (sound && reading->invocation->arguments->deep)
        sound = try_points(reading, &points, err);
    if (!sound && err->code != ERR_CORRUPT) {
        buf_reset(&reading->output);
        return false;
    }
    if (json)
        add_verdict(reading, &points, verified, sound);
    return sound;
}

int command_verify(const struct invocation *invocation)
{
    struct reading reading = {.invocation = invocation, .output = BUF_INIT(READING_OUTPUT_MAX)};
    int code = reading_execute(&reading, verify_store, "verifying");

    buf_clear(&reading.output);
    return code;
}
