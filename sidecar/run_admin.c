/* The answers of the admin port: pages that show the run, and the one order that it takes.
 *
 * `POST /snapshot` asks for a base and names the request; `GET /snapshot/REQUEST` says how it stands (202
 * while it waits, 200 when the base is announced, 409 when it never will be), `.txt` behind it in words. The
 * proxy's thread answers, so nothing here waits: the one who asked looks again. */
#include "sidecar/run_state.h"
#include "sidecar/status.h"

#include "base/clock.h"
#include "base/thread.h"

#include <inttypes.h>
#include <string.h>

static const char json_type[] = "application/json";
static const char snapshot_path[] = "/snapshot";

static bool is_reading(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static unsigned refuse(struct buf *body, unsigned code, const char *reason)
{
    buf_printf(body, "%s\n", reason);
    return code;
}

static unsigned order_base(struct run *run, const struct proxy_admin_request *request, struct buf *body,
                           const char **ret_content_type)
{
    struct err err = {0};
    uint64_t number = 0;

    if (strcmp(request->method, "POST") != 0)
        return refuse(body, 405, "only POST");
    if (!request->is_deliberate)
        return refuse(body, 403,
                      "a request that changes something has the field `X-Holdfast: 1` and no Origin");
    if (!engine_ask_base(run->engine, &number, &err))
        return refuse(body, 409, err.text);
    buf_printf(body, "{\"request\":%" PRIu64 "}\n", number);
    *ret_content_type = json_type;
    return 202;
}

/* A database that isn't followed is in no base either. */
static void describe_base(struct run *run, const struct engine_base *base, bool json, struct buf *body)
{
    struct engine_status status;
    char time[CLOCK_TEXT_SIZE];

    engine_status(run->engine, &status);
    clock_format(base->time_ns, time);
    if (json) {
        buf_printf(body,
                   "{\"record\":%" PRIu64 ",\"position\":%" PRIu64 ",\"time\":\"%s\",\"unprotected\":%zu}\n",
                   base->record, base->position, time, status.left_out_count);
        return;
    }
    buf_printf(body, "a base of everything%s was announced as record %" PRIu64 " of %s\n",
               status.left_out_count > 0 ? " but the databases that `holdfast status` names" : "",
               base->record, time);
}

static void describe_wait(struct run *run, bool json, struct buf *body)
{
    struct engine_status status;
    char text[1200] = "the base is being cut";

    engine_status(run->engine, &status);
    if (status.degraded)
        (void)snprintf(text, sizeof(text), "the store can't take it now (%s)", status.err.text);
    if (!json) {
        buf_printf(body, "%s\n", text);
        return;
    }
    buf_add_text(body, "{\"waiting\":");
    buf_add_json(body, text);
    buf_add_text(body, "}\n");
}

static unsigned tell_base(struct run *run, uint64_t request, bool json, struct buf *body)
{
    struct engine_base base;

    switch (engine_answer_base(run->engine, request, &base)) {
    case ENGINE_ANSWER_BASE:
        describe_base(run, &base, json, body);
        return 200;
    case ENGINE_ANSWER_WAITS:
        describe_wait(run, json, body);
        return 202;
    case ENGINE_ANSWER_REFUSED:
        return refuse(body, 409, "holdfast stops before the base could be announced");
    case ENGINE_ANSWER_UNKNOWN:
    default:
        return refuse(body, 404, "nobody has asked for that base");
    }
}

/* "/3" or "/3.txt". False for anything else. */
static bool parse_request(const char *text, uint64_t *ret_request, bool *ret_json)
{
    size_t digits = text[0] == '/' ? strspn(text + 1, "0123456789") : 0;
    const char *end = text + 1 + digits;

    if (digits == 0 || digits > 18 || (*end && strcmp(end, ".txt") != 0))
        return false;
    *ret_request = strtoull(text + 1, NULL, 10);
    *ret_json = *end == '\0';
    return true;
}

static bool answer_snapshot(struct run *run, const struct proxy_admin_request *request, struct buf *body,
                            const char **ret_content_type, unsigned *ret_code)
{
    const char *rest = request->path + strlen(snapshot_path);
    uint64_t number = 0;
    bool json = false;

    if (*rest == '\0') {
        *ret_code = order_base(run, request, body, ret_content_type);
        return true;
    }
    if (!parse_request(rest, &number, &json))
        return false;
    *ret_code =
        is_reading(request->method) ? tell_base(run, number, json, body) : refuse(body, 405, "only GET");
    if (json && *ret_code < 300)
        *ret_content_type = json_type;
    return true;
}

static enum life_state shown_state(struct run *run)
{
    MUTEX_GUARD(&run->mutex);
    return run->board_state;
}

static bool answer_page(struct run *run, const struct proxy_admin_request *request, struct buf *body,
                        const char **ret_content_type, unsigned *ret_code)
{
    static const struct {
        const char *path, *type;
        void (*render)(const struct status *status, struct buf *text);
    } pages[] = {
        {"/", "text/html; charset=utf-8", status_page},
        {"/status", json_type, status_json},
        {"/status.txt", "text/plain; charset=utf-8", status_text},
        {"/metrics", "text/plain; version=0.0.4; charset=utf-8", status_metrics},
    };
    struct status status = {.state = shown_state(run), .store = &run->counters};

    for (size_t at = 0; at < sizeof(pages) / sizeof(pages[0]); at++) {
        if (strcmp(pages[at].path, request->path) != 0)
            continue;
        if (!is_reading(request->method)) {
            *ret_code = refuse(body, 405, "only GET");
            return true;
        }
        engine_status(run->engine, &status.engine);
        status.left_out_count = engine_left_out(run->engine, status.left_out, STATUS_LEFT_OUT_MAX);
        if (run->drill) {
            status.drills = true;
            drill_status(run->drill, &status.drill);
        }
        proxy_counters(run->proxy, &status.proxy);
        pages[at].render(&status, body);
        *ret_content_type = pages[at].type;
        return true;
    }
    return false;
}

/* Without an engine there is nothing else to tell. */
static unsigned refuse_start(struct run *run, struct buf *body)
{
    MUTEX_GUARD(&run->mutex);
    return refuse(body, 503, run->board.reason);
}

bool run_answer_admin(void *context, const struct proxy_admin_request *request, struct buf *body,
                      const char **ret_content_type, unsigned *ret_code)
{
    struct run *run = context;

    if (!run->engine) {
        *ret_code = refuse_start(run, body);
        return true;
    }
    if (strncmp(request->path, snapshot_path, strlen(snapshot_path)) == 0)
        return answer_snapshot(run, request, body, ret_content_type, ret_code);
    return answer_page(run, request, body, ret_content_type, ret_code);
}
