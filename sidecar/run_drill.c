/* HOLDFAST_DRILL_INTERVAL. The drill has connections of its own, which a drain cuts at once without touching
 * those of the engine. */
#include "sidecar/run_state.h"

#include "base/log.h"

static void tell(void *context, enum drill_event event, const char *text)
{
    (void)context;
    switch (event) {
    case DRILL_DAMAGE:
        log_warning("drill: %s", text);
        break;
    case DRILL_PASSED:
        log_info("drill: %s", text);
        break;
    case DRILL_FAILED:
        log_warning("the drill failed: %s", text);
        break;
    case DRILL_SKIPPED:
    default:
        log_warning("the drill could not take place: %s", text);
    }
}

bool run_open_drill(struct run *run, struct err *err)
{
    const struct config *config = run->config;
    struct drill_config drill = {.data_directory = config->data_directory,
                                 .interval_ms = config->drill_interval_ms,
                                 .canceled = &run->drill_canceled,
                                 .tell = tell};

    if (drill.interval_ms == 0)
        return true;
    if (!store_open(&config->store, &run->drill_canceled, &run->observer, &run->drill_store, err))
        return false;
    run->drill_patient = store_retry(run->drill_store, config->start_timeout_ms, &run->drill_canceled);
    drill.store = run->drill_patient;
    return drill_open(&drill, &run->drill, err);
}

void run_begin_drill(struct run *run)
{
    struct err err = {0};

    if (run->drill && !drill_begin(run->drill, &err))
        log_warning("there will be no drill: %s", err.text);
}

void run_close_drill(struct run *run)
{
    drill_free(run->drill);
    store_free(run->drill_patient);
    store_free(run->drill_store);
}
