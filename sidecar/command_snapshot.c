/* snapshot: the running holdfast is asked once and then looked at until the base is announced. It is the one
 * that cuts, so going away, or being interrupted, changes nothing there. */
#include "sidecar/commands.h"

#include "base/clock.h"
#include "base/log.h"
#include "sidecar/admin_client.h"
#include "sidecar/job.h"
#include "sidecar/lifecycle.h"
#include "sidecar/progress.h"

#include <inttypes.h>
#include <string.h>

enum { LOOK_EVERY_MS = 100, TEXT_MAX = 1 << 20 };

struct snapping {
    const struct invocation *invocation;
    atomic_bool canceled;
    struct progress progress;
    bool asked; /* a holdfast runs, and has taken the request */
    bool runs;  /* one runs at least */
    struct buf output;
};

static bool ask(const struct snapping *snapping, const char *method, const char *path, unsigned *ret_code,
                struct buf *text, struct err *err)
{
    if (!admin_ask(&snapping->invocation->config->admin_listen, method, path, ret_code, text, err))
        return false;
    while (text->size > 0 && text->bytes[text->size - 1] == '\n')
        text->size--;
    return true;
}

static bool order_base(struct snapping *snapping, uint64_t *ret_request, struct err *err)
{
    static const char before[] = "{\"request\":";
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(TEXT_MAX);
    unsigned code = 0;

    if (!ask(snapping, "POST", "/snapshot", &code, &text, err))
        return false;
    if (code == 409) {
        snapping->runs = true;
        return err_set(err, ERR_TRANSIENT, "no base is cut now: %s", buf_text(&text));
    }
    if (code != 202 || strncmp(buf_text(&text), before, strlen(before)) != 0)
        return err_set(err, ERR_CORRUPT, "what answers at HOLDFAST_ADMIN_LISTEN knows no snapshot");
    *ret_request = strtoull(buf_text(&text) + strlen(before), NULL, 10);
    snapping->runs = snapping->asked = true;
    return true;
}

/* *ret_announced: *text says what was. Otherwise it says what the base waits for. */
static bool look(struct snapping *snapping, const char *path, bool *ret_announced, struct buf *text,
                 struct err *err)
{
    unsigned code = 0;

    buf_reset(text);
    if (!ask(snapping, "GET", path, &code, text, err))
        return err_wrap(err, "whether the base was announced is not known");
    if (code != 200 && code != 202)
        return err_set(err, ERR_TRANSIENT, "the base was not announced: %s", buf_text(text));
    *ret_announced = code == 200;
    return true;
}

static bool await_base(void *context, struct err *err)
{
    struct snapping *snapping = context;
    CLEANUP(freep) char *path = NULL;
    uint64_t request = 0;
    bool announced = false;

    if (!order_base(snapping, &request, err))
        return false;
    path = xasprintf("/snapshot/%" PRIu64 ".txt", request);
    while (!announced) {
        if (!look(snapping, path, &announced, &snapping->output, err))
            return false;
        if (announced)
            break;
        progress_say(&snapping->progress, buf_text(&snapping->output));
        if (!clock_pause(LOOK_EVERY_MS, &snapping->canceled))
            return err_set(err, ERR_CANCELED, "not waited for: the base is cut all the same");
    }
    *strrchr(path, '.') = '\0'; /* the same as JSON */
    return !snapping->invocation->arguments->json || look(snapping, path, &announced, &snapping->output, err);
}

static int tell(struct snapping *snapping, bool announced, int signal, const struct err *err)
{
    if (announced) {
        buf_add_text(&snapping->output, "\n");
        return command_print(&snapping->output);
    }
    if (signal > 0 && snapping->asked) {
        log_info("%s", err->text);
        return EXIT_SIGNAL_BASE + signal;
    }
    (void)command_failed(err);
    return snapping->runs ? EXIT_NOT_SHIPPED : EXIT_NOT_RUNNING;
}

int command_snapshot(const struct invocation *invocation)
{
    struct snapping snapping = {.invocation = invocation, .output = BUF_INIT(TEXT_MAX)};
    struct err err = {0};
    int signal = 0, code;
    bool announced;

    progress_begin(&snapping.progress, "snapshot");
    announced = job_run(await_base, &snapping, &snapping.canceled, &signal, &err);
    progress_end(&snapping.progress);
    code = tell(&snapping, announced, signal, &err);
    buf_clear(&snapping.output);
    return code;
}
