#include "sidecar/status.h"

#include "base/clock.h"

#include <inttypes.h>

static double seconds(uint64_t ms)
{
    return (double)ms / 1000.0;
}

bool status_is_degraded(const struct status *status)
{
    return status->engine.degraded || status->engine.left_out_count > 0;
}

static const char *left_out_warning(const struct status *status, size_t at, char text[STATUS_WARNING_SIZE])
{
    const struct engine_left_out *left_out = &status->left_out[at];
    char since[CLOCK_TEXT_SIZE];

    if (at == status->left_out_count) {
        (void)snprintf(text, STATUS_WARNING_SIZE, "%zu other databases are not protected either",
                       status->engine.left_out_count - status->left_out_count);
        return text;
    }
    clock_format(left_out->since_ns, since);
    (void)snprintf(text, STATUS_WARNING_SIZE, "the database %s has not been protected since %s: %s",
                   left_out->path, since, left_out->why);
    return text;
}

static const char *wait_warning(const struct status *status, char text[STATUS_WARNING_SIZE])
{
    (void)snprintf(text, STATUS_WARNING_SIZE, "changes wait here and are not in the store: %s",
                   status->engine.err.text);
    return text;
}

static const char *drill_warning(const struct status *status, char text[STATUS_WARNING_SIZE])
{
    (void)snprintf(text, STATUS_WARNING_SIZE, "the last drill came to nothing: %s", status->drill.problem);
    return text;
}

const char *status_warning(const struct status *status, size_t at, char text[STATUS_WARNING_SIZE])
{
    const struct engine_status *engine = &status->engine;
    size_t left_out = status->left_out_count + (engine->left_out_count > status->left_out_count);
    size_t waits = engine->degraded && engine->err.text[0];

    if (at < left_out)
        return left_out_warning(status, at, text);
    at -= left_out;
    if (at < waits)
        return wait_warning(status, text);
    at -= waits;
    if (at < engine->warnings_count)
        return engine->warnings[at];
    at -= engine->warnings_count;
    return at == 0 && status->drills && status->drill.problem[0] ? drill_warning(status, text) : NULL;
}

static void add_time(struct buf *text, const char *name, uint64_t time_ns)
{
    char time[CLOCK_TEXT_SIZE];

    clock_format(time_ns, time);
    if (time_ns == 0)
        buf_printf(text, ",\"%s\":null", name);
    else
        buf_printf(text, ",\"%s\":\"%s\"", name, time);
}

static void add_drill(struct buf *text, const struct drill_status *drill)
{
    buf_printf(text, ",\"drill\":{\"running\":%s", drill->running ? "true" : "false");
    add_time(text, "last_success", drill->success_ns);
    add_time(text, "last_failure", drill->failure_ns);
    buf_printf(text, ",\"failures\":%" PRIu64 ",\"problem\":", drill->failures);
    if (drill->problem[0])
        buf_add_json(text, drill->problem);
    else
        buf_add_text(text, "null");
    buf_add_text(text, "}");
}

void status_json(const struct status *status, struct buf *text)
{
    const struct engine_status *engine = &status->engine;
    char room[STATUS_WARNING_SIZE];
    const char *warning;

    buf_printf(text, "{\"state\":\"%s\",\"position\":%" PRIu64 ",\"durable_position\":%" PRIu64,
               life_state_name(status->state), engine->position, engine->durable_position);
    buf_printf(text, ",\"record\":%" PRIu64 ",\"durable_record\":%" PRIu64 ",\"lag_seconds\":%.3f",
               engine->record, engine->durable_record, seconds(engine->lag_ms));
    buf_add_text(text, ",\"owner\":");
    buf_add_json(text, engine->owner);
    buf_printf(text, ",\"epoch\":%" PRIu64 ",\"degraded\":%s,\"warnings\":[", engine->epoch,
               status_is_degraded(status) ? "true" : "false");
    for (size_t at = 0; (warning = status_warning(status, at, room)); at++) {
        buf_add_text(text, at > 0 ? "," : "");
        buf_add_json(text, warning);
    }
    buf_add_text(text, "]");
    if (status->drills)
        add_drill(text, &status->drill);
    buf_add_text(text, "}\n");
}

const char *status_verdict(const struct status *status)
{
    static const char *const sentences[LIFE_STATES] = {
        [LIFE_LISTEN] = "Starting.",
        [LIFE_RESTORE] = "Restoring the data directory from the store.",
        [LIFE_LAUNCH] = "Waiting for the backend to answer.",
        [LIFE_DRAIN] = "Shutting down: requests in flight may finish.",
        [LIFE_FLUSH] = "Shutting down: shipping what is left.",
        [LIFE_FENCED] = "Another container has taken over. This one stops.",
        [LIFE_EXIT] = "Ended.",
    };

    if (status->state != LIFE_SERVE)
        return sentences[status->state];
    if (status->engine.degraded)
        return "Serving, but changes don't reach the store now: they wait here.";
    if (status->engine.left_out_count > 0)
        return "Serving, but not every database is protected: the warnings say which.";
    if (status->engine.lag_ms > 0)
        return "Serving. Changes are on their way to the store.";
    return "Serving. Everything that was committed is in the store.";
}

static void add_drill_line(struct buf *text, const struct drill_status *drill)
{
    char time[CLOCK_TEXT_SIZE];

    clock_format(drill->success_ns, time);
    buf_printf(text, "last drill that passed  %s%s\n", drill->success_ns > 0 ? time : "none since the start",
               drill->running ? ", one is under way" : "");
}

const char *status_step(const struct status *status)
{
    return status->state != LIFE_SERVE && status->engine.step[0] ? status->engine.step : NULL;
}

void status_text(const struct status *status, struct buf *text)
{
    const struct engine_status *engine = &status->engine;
    char room[STATUS_WARNING_SIZE];
    const char *warning;

    buf_printf(text, "%s: %s\n", life_state_name(status->state), status_verdict(status));
    buf_printf(text, "changes in the store    %" PRIu64 " of %" PRIu64 "\n", engine->durable_position,
               engine->position);
    buf_printf(text, "oldest that is not      %.1f s\n", seconds(engine->lag_ms));
    buf_printf(text, "records confirmed       %" PRIu64 " of %" PRIu64 "\n", engine->durable_record,
               engine->record);
    buf_printf(text, "owner                   %s, epoch %" PRIu64 "\n", engine->owner, engine->epoch);
    if (status_step(status))
        buf_printf(text, "now                     %s\n", status_step(status));
    if (status->drills)
        add_drill_line(text, &status->drill);
    for (size_t at = 0; (warning = status_warning(status, at, room)); at++)
        buf_printf(text, "warning                 %s\n", warning);
}

static void add_family(struct buf *text, const char *name, const char *type, const char *help)
{
    buf_printf(text, "# HELP holdfast_%s %s\n# TYPE holdfast_%s %s\n", name, help, name, type);
}

static void add_count(struct buf *text, const char *name, const char *help, uint64_t value)
{
    add_family(text, name, "gauge", help);
    buf_printf(text, "holdfast_%s %" PRIu64 "\n", name, value);
}

static void add_seconds(struct buf *text, const char *name, const char *help, uint64_t ms)
{
    add_family(text, name, "gauge", help);
    buf_printf(text, "holdfast_%s %.3f\n", name, seconds(ms));
}

static void add_states(struct buf *text, enum life_state now)
{
    add_family(text, "state", "gauge", "1 for the state that holdfast is in.");
    for (enum life_state state = LIFE_LISTEN; state < LIFE_EXIT; state++)
        buf_printf(text, "holdfast_state{state=\"%s\"} %d\n", life_state_name(state), state == now);
}

static void add_codes(struct buf *text, const struct proxy_counters *proxy)
{
    add_family(text, "http_requests_total", "counter", "Requests answered on the front ports.");
    for (unsigned code = 0; code < PROXY_CODES_MAX; code++)
        if (proxy->requests[code] > 0)
            buf_printf(text, "holdfast_http_requests_total{code=\"%u\"} %" PRIu64 "\n", code,
                       proxy->requests[code]);
}

static void add_drill_metrics(struct buf *text, const struct drill_status *drill)
{
    add_seconds(text, "drill_success_time_seconds",
                "When the last drill passed, in seconds since 1970; 0: none since the start.",
                drill->success_ns / NS_PER_MS);
    add_family(text, "drill_failures_total", "counter", "Drills that failed.");
    buf_printf(text, "holdfast_drill_failures_total %" PRIu64 "\n", drill->failures);
}

void status_metrics(const struct status *status, struct buf *text)
{
    const struct engine_status *engine = &status->engine;

    add_states(text, status->state);
    add_count(text, "position", "Changes committed so far.", engine->position);
    add_count(text, "durable_position", "Changes that are in the store.", engine->durable_position);
    add_count(text, "record", "Newest record that was sent.", engine->record);
    add_count(text, "durable_record", "Newest record that the store confirmed.", engine->durable_record);
    add_seconds(text, "lag_seconds", "Age of the oldest change that is not in the store.", engine->lag_ms);
    add_seconds(text, "restore_seconds", "How long the restore at start took.", engine->restore_ms);
    add_count(text, "degraded", "1 while changes can't be brought to the store.", status_is_degraded(status));
    add_count(text, "unprotected_databases", "Databases whose changes can't be followed.",
              engine->left_out_count);
    add_count(text, "held_requests", "Requests that wait for readiness or durability.", status->proxy.held);
    if (status->drills)
        add_drill_metrics(text, &status->drill);
    counters_metrics(status->store, text);
    add_codes(text, &status->proxy);
}
