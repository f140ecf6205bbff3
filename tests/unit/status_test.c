#include "sidecar/status.h"

#include "base/clock.h"
#include "tests/tap.h"

static struct counters counters;

static struct status sample(void)
{
    struct status status = {.state = LIFE_SERVE, .store = &counters};

    status.engine = (struct engine_status){.phase = ENGINE_SERVING,
                                           .position = 12,
                                           .durable_position = 10,
                                           .record = 5,
                                           .durable_record = 4,
                                           .lag_ms = 1250,
                                           .restore_ms = 830,
                                           .epoch = 3,
                                           .owner = "0123456789abcdef0123456789abcdef",
                                           .warnings = {"say \"hello\"", "<b>"},
                                           .warnings_count = 2};
    status.proxy.requests[200] = 7;
    status.proxy.requests[503] = 1;
    status.proxy.held = 2;
    return status;
}

TEST(the_json_has_the_names_of_the_contract)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
    struct status status = sample();

    status_json(&status, &text);
    EXPECT_STR(
        buf_text(&text),
        "{\"state\":\"serve\",\"position\":12,\"durable_position\":10,\"record\":5,\"durable_record\":4,"
        "\"lag_seconds\":1.250,\"owner\":\"0123456789abcdef0123456789abcdef\",\"epoch\":3,\"degraded\":false,"
        "\"warnings\":[\"say \\\"hello\\\"\",\"<b>\"]}\n");
}

TEST(the_metrics_have_the_names_of_the_contract)
{
    static const char *const wanted[] = {
        "\nholdfast_state{state=\"serve\"} 1\n",
        "\nholdfast_state{state=\"drain\"} 0\n",
        "\nholdfast_position 12\n",
        "\nholdfast_durable_position 10\n",
        "\nholdfast_record 5\n",
        "\nholdfast_durable_record 4\n",
        "\nholdfast_lag_seconds 1.250\n",
        "\nholdfast_restore_seconds 0.830\n",
        "\nholdfast_http_requests_total{code=\"200\"} 7\n",
        "\nholdfast_http_requests_total{code=\"503\"} 1\n",
        "\nholdfast_held_requests 2\n",
        "\nholdfast_degraded 0\n",
        "\nholdfast_store_requests_total{op=\"get\",outcome=\"ok\"} 0\n",
        "\nholdfast_store_sent_bytes_total 0\n",
        "\nholdfast_store_received_bytes_total 0\n",
    };
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
    struct status status = sample();

    status_metrics(&status, &text);
    for (size_t at = 0; at < sizeof(wanted) / sizeof(wanted[0]); at++)
        if (!EXPECT(strstr(buf_text(&text), wanted[at])))
            printf("#   %s\n", wanted[at] + 1);
    EXPECT(!strstr(buf_text(&text), "code=\"404\""));
}

/* A line is a comment, or a name with optional labels, a blank and a number. */
static bool is_metric_line(const char *line, size_t size)
{
    size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
    const char *value = memrchr(line, ' ', size);

    if (line[0] == '#')
        return strncmp(line, "# HELP holdfast_", 16) == 0 || strncmp(line, "# TYPE holdfast_", 16) == 0;
    if (name == 0 || !value || value[1] == '\n')
        return false;
    return line[name] == ' ' || (line[name] == '{' && value[-1] == '}');
}

TEST(every_line_of_the_metrics_can_be_parsed)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
    struct status status = sample();
    const char *at;

    status_metrics(&status, &text);
    for (at = buf_text(&text); *at; at += strcspn(at, "\n") + 1)
        if (!EXPECT(is_metric_line(at, strcspn(at, "\n"))))
            printf("#   %.*s\n", (int)strcspn(at, "\n"), at);
}

TEST(the_store_is_counted_by_method_and_outcome)
{
    struct counters counted = {.sent_bytes = 0};
    struct store_observer observer = counters_observer(&counted);
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);

    observer.request(observer.context, "create", ERR_NONE, 100, 10);
    observer.request(observer.context, "put", ERR_NONE, 50, 5);
    observer.request(observer.context, "create", ERR_CONFLICT, 100, 10);
    observer.request(observer.context, "stat", ERR_NOT_FOUND, 1, 1);
    counters_metrics(&counted, &text);
    EXPECT(strstr(buf_text(&text), "{op=\"put\",outcome=\"ok\"} 2\n"));
    EXPECT(strstr(buf_text(&text), "{op=\"put\",outcome=\"conflict\"} 1\n"));
    EXPECT(strstr(buf_text(&text), "{op=\"head\",outcome=\"not_found\"} 1\n"));
    EXPECT(strstr(buf_text(&text), "holdfast_store_sent_bytes_total 251\n"));
    EXPECT(strstr(buf_text(&text), "holdfast_store_received_bytes_total 26\n"));
}

TEST(the_page_escapes_what_comes_from_outside)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
    struct status status = sample();

    status_page(&status, &text);
    EXPECT(strstr(buf_text(&text), "<!doctype html>"));
    EXPECT(strstr(buf_text(&text), "&lt;b>"));
    EXPECT(!strstr(buf_text(&text), "<p class=\"warning\"><b>"));
    EXPECT(!strstr(buf_text(&text), "http://") && !strstr(buf_text(&text), "https://"));
    EXPECT(strstr(buf_text(&text), "Changes are on their way"));
}

TEST(the_step_of_a_start_is_shown_until_it_serves)
{
    for (int serves = 0; serves < 2; serves++) {
        CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
        CLEANUP(buf_clearp) struct buf page = BUF_INIT(65536);
        struct status status = sample();

        status.state = serves ? LIFE_SERVE : LIFE_LAUNCH;
        (void)snprintf(status.engine.step, sizeof(status.engine.step), "attaching the databases");
        status_text(&status, &text);
        status_page(&status, &page);
        EXPECT_INT(strstr(buf_text(&text), "attaching") == NULL, serves);
        EXPECT_INT(strstr(buf_text(&page), "attaching") == NULL, serves);
    }
}

TEST(drills_are_shown_where_there_are_any)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
    struct status status = sample();

    status.drills = true;
    status.drill = (struct drill_status){.success_ns = UINT64_C(1763719200) * 1000000000 + 123000000,
                                         .failures = 2,
                                         .problem = "part/x: its hash is another"};
    status_json(&status, &text);
    EXPECT(
        strstr(buf_text(&text),
               "\"<b>\",\"the last drill came to nothing: part/x: its hash is another\"],"
               "\"drill\":{\"running\":false,\"last_success\":\"2025-11-21T10:00:00.123Z\",\"last_failure\":"
               "null,\"failures\":2,\"problem\":\"part/x: its hash is another\"}}\n"));
    buf_reset(&text);
    status_metrics(&status, &text);
    EXPECT(strstr(buf_text(&text), "\nholdfast_drill_success_time_seconds 1763719200.123\n"));
    EXPECT(strstr(buf_text(&text), "\nholdfast_drill_failures_total 2\n"));
    buf_reset(&text);
    status_text(&status, &text);
    EXPECT(strstr(buf_text(&text), "last drill that passed  2025-11-21T10:00:00.123Z\n"));
    EXPECT(strstr(buf_text(&text), "warning                 the last drill came to nothing: part/x"));
    buf_reset(&text);
    status_page(&status, &text);
    EXPECT(strstr(buf_text(&text), "last drill that passed") && strstr(buf_text(&text), "part/x: its hash"));
    status.engine.warnings_count = 0;
    status.drill = (struct drill_status){.running = true};
    buf_reset(&text);
    status_json(&status, &text);
    EXPECT(strstr(buf_text(&text), "\"warnings\":[],\"drill\":{\"running\":true,\"last_success\":null"));
}

TEST(the_verdict_never_calls_a_degraded_store_well)
{
    struct status status = sample();

    status.engine.lag_ms = 0;
    EXPECT(strstr(status_verdict(&status), "is in the store"));
    status.engine.degraded = true;
    EXPECT(strstr(status_verdict(&status), "don't reach the store"));
    for (enum life_state state = LIFE_LISTEN; state < LIFE_STATES; state++) {
        status.state = state;
        EXPECT(status_verdict(&status)[0] != '\0');
    }
}

static void leave_out(struct status *status, size_t named, size_t count)
{
    status->engine.left_out_count = count;
    status->left_out_count = named;
    for (size_t at = 0; at < named; at++) {
        struct engine_left_out *left_out = &status->left_out[at];
        left_out->since_ns = UINT64_C(1763719200) * NS_PER_SECOND;
        (void)snprintf(left_out->path, sizeof(left_out->path), "tenant%zu.db", at);
        (void)snprintf(left_out->why, sizeof(left_out->why), "the application keeps it locked");
    }
}

TEST(each_database_that_is_not_protected_is_named_with_the_time_since_when)
{
    CLEANUP(buf_clearp) struct buf json = BUF_INIT(65536);
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
    CLEANUP(buf_clearp) struct buf page = BUF_INIT(65536);
    CLEANUP(buf_clearp) struct buf metrics = BUF_INIT(65536);
    struct status status = sample();

    leave_out(&status, 2, 2);
    status_json(&status, &json);
    status_text(&status, &text);
    status_page(&status, &page);
    status_metrics(&status, &metrics);
    EXPECT(strstr(buf_text(&json),
                  "\"degraded\":true,\"warnings\":[\"the database tenant0.db has not been protected since "
                  "2025-11-21T10:00:00.000Z: the application keeps it locked\",\"the database tenant1.db"));
    EXPECT(strstr(buf_text(&json), ",\"say \\\"hello\\\"\",\"<b>\"]"));
    EXPECT(strstr(buf_text(&text), "serve: Serving, but not every database is protected"));
    EXPECT(strstr(buf_text(&text), "warning                 the database tenant1.db has not"));
    EXPECT(strstr(buf_text(&page), "the database tenant1.db has not been protected since"));
    EXPECT(strstr(buf_text(&metrics), "\nholdfast_degraded 1\n"));
    EXPECT(strstr(buf_text(&metrics), "\nholdfast_unprotected_databases 2\n"));
}

TEST(of_very_many_that_are_not_protected_the_rest_is_counted)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
    struct status status = sample();

    leave_out(&status, STATUS_LEFT_OUT_MAX, STATUS_LEFT_OUT_MAX + 3);
    status_text(&status, &text);
    EXPECT(strstr(buf_text(&text), "tenant63.db"));
    EXPECT(strstr(buf_text(&text), "warning                 3 other databases are not protected either\n"));
    EXPECT(strstr(buf_text(&text), "warning                 <b>\n"));
}

TEST(why_changes_wait_is_a_warning)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);
    struct status status = sample();

    status.engine.degraded = true;
    (void)err_set(&status.engine.err, ERR_TRANSIENT, "the bucket is away");
    status_json(&status, &text);
    EXPECT(strstr(buf_text(&text),
                  "\"degraded\":true,\"warnings\":[\"changes wait here and are not in the "
                  "store: the bucket is away\",\"say"));
}

TAP_MAIN()
