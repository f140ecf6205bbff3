/* The admin port's page: what a person at three in the morning wants to know, without a dashboard. */
#include "sidecar/status.h"

#include "base/clock.h"

#include <inttypes.h>

/* Names come from file systems and servers. */
static void add_escaped(struct buf *text, const char *plain)
{
    for (; *plain; plain++) {
        switch (*plain) {
        case '&':
            buf_add_text(text, "&amp;");
            break;
        case '<':
            buf_add_text(text, "&lt;");
            break;
        case '"':
            buf_add_text(text, "&quot;");
            break;
        default:
            buf_add(text, plain, 1);
        }
    }
}

static void add_row(struct buf *text, const char *label, const char *value)
{
    buf_printf(text, "<tr><th>%s</th><td>", label);
    add_escaped(text, value);
    buf_add_text(text, "</td></tr>\n");
}

static void add_head(struct buf *text, const struct status *status)
{
    bool well = status->state == LIFE_SERVE && !status_is_degraded(status);

    buf_printf(
        text,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"2\">"
        "<meta name=\"viewport\" content=\"width=device-width\"><title>holdfast: %s</title><style>"
        "body{font:16px/1.5 system-ui,sans-serif;max-width:44em;margin:3em auto;padding:0 1em;color:#222;"
        "background:#fff}h1{font-size:1.3em}h1 b{background:%s;color:#fff;padding:.1em "
        ".6em;border-radius:.3em}"
        "table{border-collapse:collapse;width:100%%}th{text-align:left;font-weight:normal;color:#666;width:"
        "14em}"
        "th,td{padding:.3em 0;border-bottom:1px solid #eee}.warning{color:#a40000}"
        "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#333}"
        "th{color:#999}.warning{color:#ff8a80}}</style>",
        life_state_name(status->state), well ? "#2e7d32" : "#b26a00");
    buf_printf(text, "<h1>holdfast <b>%s</b></h1><p>%s</p>", life_state_name(status->state),
               status_verdict(status));
}

static void add_facts(struct buf *text, const struct status *status)
{
    const struct engine_status *engine = &status->engine;
    char value[128];

    (void)snprintf(value, sizeof(value), "%" PRIu64 " of %" PRIu64, engine->durable_position,
                   engine->position);
    add_row(text, "changes in the store", value);
    (void)snprintf(value, sizeof(value), "%.1f s", (double)engine->lag_ms / 1000.0);
    add_row(text, "oldest change that is not", engine->lag_ms > 0 ? value : "none");
    (void)snprintf(value, sizeof(value), "%" PRIu64 " of %" PRIu64, engine->durable_record, engine->record);
    add_row(text, "records confirmed", value);
    (void)snprintf(value, sizeof(value), "%.2f s", (double)engine->restore_ms / 1000.0);
    add_row(text, "restore at start", value);
    (void)snprintf(value, sizeof(value), "%u held, %u in flight, %u WebSockets", status->proxy.held,
                   status->proxy.in_flight, status->proxy.tunnels);
    add_row(text, "requests", value);
    (void)snprintf(value, sizeof(value), "%s, epoch %" PRIu64, engine->owner, engine->epoch);
    add_row(text, "owner", value);
}

static void add_drill(struct buf *text, const struct drill_status *drill)
{
    char value[CLOCK_TEXT_SIZE];

    clock_format(drill->success_ns, value);
    add_row(text, "last drill that passed", drill->success_ns > 0 ? value : "none since the start");
}

void status_page(const struct status *status, struct buf *text)
{
    char room[STATUS_WARNING_SIZE];
    const char *warning;

    add_head(text, status);
    if (status->state == LIFE_RESTORE)
        buf_printf(text, "<p><progress max=\"1\" value=\"%.3f\"></progress></p>", status->engine.progress);
    buf_add_text(text, "<table>\n");
    add_facts(text, status);
    if (status->drills)
        add_drill(text, &status->drill);
    if (status_step(status))
        add_row(text, "now", status_step(status));
    buf_add_text(text, "</table>");
    for (size_t at = 0; (warning = status_warning(status, at, room)); at++) {
        buf_add_text(text, "<p class=\"warning\">");
        add_escaped(text, warning);
        buf_add_text(text, "</p>");
    }
    buf_add_text(text, "<p><a href=\"/status\">JSON</a> · <a href=\"/metrics\">metrics</a></p></html>\n");
}
