#include "sidecar/commands.h"

#include "base/log.h"
#include "sidecar/child.h"
#include "sidecar/doctor.h"
#include "sidecar/job.h"
#include "sidecar/lifecycle.h"

#include <stdarg.h>

void diagnosis_add(struct diagnosis *diagnosis, enum verdict verdict, const char *check, const char *format,
                   ...)
{
    static const char *const names[] = {"ok", "note", "fault"};
    char text[1200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (diagnosis->json) {
        buf_printf(&diagnosis->output, "%s{\"check\":", diagnosis->checks > 0 ? "," : "");
        buf_add_json(&diagnosis->output, check);
        buf_printf(&diagnosis->output, ",\"verdict\":\"%s\",\"text\":", names[verdict]);
        buf_add_json(&diagnosis->output, text);
        buf_add_text(&diagnosis->output, "}");
    } else {
        buf_printf(&diagnosis->output, "%-6s %s: %s\n", names[verdict], check, text);
    }
    diagnosis->checks++;
    diagnosis->faults += verdict == VERDICT_FAULT;
}

static void look_at_config(struct diagnosis *diagnosis, const struct config_report *report)
{
    for (size_t at = 0; at < config_report_lines(report); at++)
        diagnosis_add(diagnosis, at < report->faults ? VERDICT_FAULT : VERDICT_NOTE, "configuration", "%s",
                      report->lines[at]);
    if (report->faults == 0)
        diagnosis_add(diagnosis, VERDICT_OK, "configuration", "every variable can be understood");
}

static void look_at_command(struct diagnosis *diagnosis, const struct invocation *invocation)
{
    const char *name = invocation->arguments->rest[0];
    CLEANUP(freep) char *path = NULL;
    struct err err = {0};

    if (!name)
        return;
    if (child_find(name, invocation->environment, &path, &err))
        diagnosis_add(diagnosis, VERDICT_OK, "command", "%s", path);
    else
        diagnosis_add(diagnosis, VERDICT_FAULT, "command", "%s", err.text);
}

struct visit {
    struct diagnosis *diagnosis;
    const struct config *config;
    atomic_bool canceled;
};

static bool look_at_store(void *context, struct err *err)
{
    struct visit *visit = context;

    return doctor_look_at_store(visit->diagnosis, visit->config, &visit->canceled, err);
}

int command_doctor(const struct invocation *invocation)
{
    struct diagnosis diagnosis = {.json = invocation->arguments->json, .output = BUF_INIT(1 << 20)};
    struct visit visit = {.diagnosis = &diagnosis, .config = invocation->config};
    struct err err = {0};
    int signal = 0, code;

    if (diagnosis.json)
        buf_add_text(&diagnosis.output, "{\"checks\":[");
    look_at_config(&diagnosis, invocation->report);
    look_at_command(&diagnosis, invocation);
    doctor_look_here(&diagnosis, invocation->config);
    doctor_look_at_platform(&diagnosis, invocation->config, invocation->environment, "/.dockerenv");
    if (invocation->report->faults == 0 && !job_run(look_at_store, &visit, &visit.canceled, &signal, &err))
        diagnosis_add(&diagnosis, VERDICT_FAULT, "store", "%s", err.text);
    if (signal > 0) { /* what was stopped looks like a fault */
        buf_clear(&diagnosis.output);
        log_info("interrupted before it was done");
        return EXIT_SIGNAL_BASE + signal;
    }
    if (diagnosis.json)
        buf_printf(&diagnosis.output, "],\"faults\":%zu}\n", diagnosis.faults);
    code = command_print(&diagnosis.output);
    buf_clear(&diagnosis.output);
    return code == EXIT_OK && diagnosis.faults > 0 ? EXIT_CONFIG : code;
}
