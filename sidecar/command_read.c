#include "sidecar/command_read.h"

#include "base/clock.h"
#include "base/log.h"
#include "sidecar/job.h"
#include "sidecar/lifecycle.h"

#include <inttypes.h>

void reading_report(void *context, uint64_t bytes_done, uint64_t bytes_total)
{
    struct reading *reading = context;

    progress_report(&reading->progress, bytes_done, bytes_total);
}

int reading_execute(struct reading *reading, bool (*work)(void *context, struct err *err), const char *verb)
{
    const struct config *config = reading->invocation->config;
    struct store_config store = config->store;
    CLEANUP(store_freep) struct store *plain = NULL;
    CLEANUP(store_freep) struct store *patient = NULL;
    struct err err = {0};
    int signal = 0, code;

    store.reads_only = true;
    if (!store_open(&store, &reading->canceled, NULL, &plain, &err))
        return command_failed(&err);
    patient = store_retry(plain, config->start_timeout_ms, &reading->canceled);
    reading->store = patient;
    progress_begin(&reading->progress, verb);
    if (job_run(work, reading, &reading->canceled, &signal, &err)) {
        progress_end(&reading->progress);
        return command_print(&reading->output);
    }
    progress_end(&reading->progress);
    code = command_ended(&err, signal);
    if (reading->output.size > 0)
        (void)command_print(&reading->output);
    return code;
}

static void add_point_json(struct reading *reading, const struct reader_point *point, const char *time)
{
    buf_printf(
        &reading->output, "%s{\"record\":%" PRIu64 ",\"time\":\"%s\",\"kind\":\"%s\",\"bytes\":%" PRIu64,
        reading->entries > 0 ? "," : "", point->record, time, record_kind_name(point->kind), point->bytes);
    if (point->taken_from > 0)
        buf_printf(&reading->output, ",\"rolled_back_to\":%" PRIu64, point->taken_from);
    buf_add_text(&reading->output, point->superseded ? ",\"superseded\":true}" : "}");
}

static void add_point_line(struct reading *reading, const struct reader_point *point, const char *time)
{
    char size[16];

    progress_format_bytes(point->bytes, size);
    buf_printf(&reading->output, "%10" PRIu64 "  %s  %-5s  %8s", point->record, time,
               record_kind_name(point->kind), size);
    if (point->taken_from > 0)
        buf_printf(&reading->output, "  rolled back to %" PRIu64, point->taken_from);
    buf_add_text(&reading->output, point->superseded ? "  superseded\n" : "\n");
}

static bool add_point(void *context, const struct reader_point *point)
{
    struct reading *reading = context;
    char time[CLOCK_TEXT_SIZE];

    clock_format(point->time_ns, time);
    if (reading->invocation->arguments->json)
        add_point_json(reading, point, time);
    else
        add_point_line(reading, point, time);
    reading->entries++;
    return true;
}

static bool list_points(void *context, struct err *err)
{
    struct reading *reading = context;
    bool json = reading->invocation->arguments->json, listed;

    buf_add_text(&reading->output,
                 json ? "{\"points\":[" : "    RECORD  TIME                      KIND       SIZE\n");
    listed = reader_list(reading->store, add_point, reading, err);
    if (reading->entries == 0 && (!listed || !json))
        buf_reset(&reading->output);
    else if (json)
        buf_add_text(&reading->output, "]}\n");
    if (reading->entries == 0 && listed)
        log_info("nothing can be restored yet: no base was announced in HOLDFAST_STORE");
    return listed && buf_check(&reading->output, "the list", err);
}

int command_list(const struct invocation *invocation)
{
    struct reading reading = {.invocation = invocation, .output = BUF_INIT(READING_OUTPUT_MAX)};
    int code = reading_execute(&reading, list_points, "listing");

    buf_clear(&reading.output);
    return code;
}

/* `--at`: a record's number, or a time that is looked up. */
static bool find_target(struct reading *reading, uint64_t *ret_record, struct err *err)
{
    const char *at = reading->invocation->arguments->at;
    struct point point;

    if (!at) {
        *ret_record = READER_LATEST;
        return true;
    }
    if (!point_parse(at, &point))
        return err_set(err, ERR_CONFIG,
                       "--at %.60s is neither a record (they begin at 1) nor a time: write for example "
                       "2026-11-21T10:00:00Z",
                       at);
    return reader_find_point(reading->store, &point, ret_record, err) || err_wrap(err, "--at");
}

void reading_add_result(struct reading *reading, const struct reader_result *result)
{
    char time[CLOCK_TEXT_SIZE];

    clock_format(result->time_ns, time);
    buf_printf(&reading->output,
               "{\"record\":%" PRIu64 ",\"time\":\"%s\",\"databases\":%" PRIu64 ",\"files\":%" PRIu64,
               result->record, time, result->databases, result->files);
    buf_printf(&reading->output, ",\"bytes\":%" PRIu64 ",\"objects\":%" PRIu64, result->bytes,
               result->objects);
}

static void add_count(struct buf *text, uint64_t count, const char *noun)
{
    buf_printf(text, "%" PRIu64 " %s%s, ", count, noun, count == 1 ? "" : "s");
}

void reading_tell(struct reading *reading, const struct reader_result *result, const char *verb)
{
    char time[CLOCK_TEXT_SIZE], size[16];

    if (reading->invocation->arguments->json)
        return;
    clock_format(result->time_ns, time);
    progress_format_bytes(result->bytes, size);
    buf_printf(&reading->output, "%s up to record %" PRIu64 " of %s: ", verb, result->record, time);
    if (!result->has_state) {
        buf_add_text(&reading->output, "no base was announced yet, so there is nothing to restore\n");
        return;
    }
    add_count(&reading->output, result->databases, "database");
    add_count(&reading->output, result->files, "file");
    buf_printf(&reading->output, "%s\n", size);
}

static bool restore_copy(void *context, struct err *err)
{
    struct reading *reading = context;
    const struct arguments *arguments = reading->invocation->arguments;
    struct reader_progress progress = {reading_report, reading};
    uint64_t record = 0;

    if (!find_target(reading, &record, err) ||
        !reader_restore(reading->store, arguments->to, record, &progress, &reading->canceled,
                        &reading->result, err))
        return false;
    reading_tell(reading, &reading->result, "restored");
    if (arguments->json) {
        reading_add_result(reading, &reading->result);
        buf_add_text(&reading->output, ",\"directory\":");
        buf_add_json(&reading->output, arguments->to);
        buf_add_text(&reading->output, "}\n");
    }
    return true;
}

int command_restore(const struct invocation *invocation)
{
    struct reading reading = {.invocation = invocation, .output = BUF_INIT(READING_OUTPUT_MAX)};
    int code;

    if (!invocation->arguments->to) {
        log_error("restore wants to know where: --to DIR, a directory that is empty or not there yet");
        return EXIT_CONFIG;
    }
    if (invocation->arguments->follow)
        return command_follow(invocation);
    code = reading_execute(&reading, restore_copy, "restoring");
    buf_clear(&reading.output);
    return code;
}
