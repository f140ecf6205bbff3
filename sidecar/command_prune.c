/* prune: what retention allows goes now, instead of when the running holdfast comes to it. */
#include "sidecar/commands.h"

#include "base/log.h"
#include "base/thread.h"
#include "sidecar/job.h"
#include "sidecar/lifecycle.h"
#include "sidecar/progress.h"
#include "snapshot/reader_prune.h"
#include "snapshot/store/store.h"

#include <inttypes.h>

enum { OUTPUT_MAX = 256 << 20 };

struct pruning {
    bool json;
    bool dry;
    struct store *store;
    atomic_bool canceled;
    uint64_t horizon;

    pthread_mutex_t mutex; /* guards what follows: keys come from several workers */
    struct buf output;
    uint64_t objects;
    struct progress progress;
};

static void add_key(void *context, const char *key)
{
    struct pruning *pruning = context;
    char text[64];

    MUTEX_GUARD(&pruning->mutex);
    if (pruning->json) {
        buf_add_text(&pruning->output, pruning->objects > 0 ? "," : "");
        buf_add_json(&pruning->output, key);
    } else {
        buf_printf(&pruning->output, "%s\n", key);
    }
    pruning->objects++;
    (void)snprintf(text, sizeof(text), "%" PRIu64 " objects so far", pruning->objects);
    progress_say(&pruning->progress, text);
}

static bool prune_store(void *context, struct err *err)
{
    struct pruning *pruning = context;
    struct removal_watch watch = {pruning->dry, add_key, pruning};

    return reader_prune(pruning->store, &watch, &pruning->canceled, &pruning->horizon, err);
}

static void tell(const struct pruning *pruning)
{
    if (pruning->horizon == 0)
        log_info("nothing to prune: no base was announced yet");
    else
        log_info("%s %" PRIu64 " objects below record %" PRIu64
                 ", the oldest point that HOLDFAST_RETENTION keeps",
                 pruning->dry ? "would delete" : "deleted", pruning->objects, pruning->horizon);
}

/* What was deleted before a failure is told too. */
static int prune_and_tell(struct pruning *pruning)
{
    struct err err = {0};
    int signal = 0, code = EXIT_OK, printed;
    bool pruned;

    if (pruning->json)
        buf_add_text(&pruning->output, "{\"keys\":[");
    progress_begin(&pruning->progress, pruning->dry ? "looking" : "pruning");
    pruned = job_run(prune_store, pruning, &pruning->canceled, &signal, &err);
    progress_end(&pruning->progress);
    if (pruned)
        tell(pruning);
    else
        code = command_ended(&err, signal);
    if (pruning->json)
        buf_printf(&pruning->output, "],\"objects\":%" PRIu64 ",\"horizon\":%" PRIu64 ",\"dry_run\":%s}\n",
                   pruning->objects, pruning->horizon, pruning->dry ? "true" : "false");
    printed = command_print(&pruning->output);
    return code == EXIT_OK ? printed : code;
}

int command_prune(const struct invocation *invocation)
{
    const struct config *config = invocation->config;
    struct store_config store = config->store;
    struct pruning pruning = {.json = invocation->arguments->json,
                              .dry = invocation->arguments->dry_run,
                              .output = BUF_INIT(OUTPUT_MAX)};
    CLEANUP(store_freep) struct store *plain = NULL;
    CLEANUP(store_freep) struct store *patient = NULL;
    struct err err = {0};
    int code;

    store.reads_only = true; /* and deletes */
    if (!store_open(&store, &pruning.canceled, NULL, &plain, &err))
        return command_failed(&err);
    patient = store_retry(plain, config->start_timeout_ms, &pruning.canceled);
    pruning.store = patient;
    pthread_mutex_init(&pruning.mutex, NULL);
    code = prune_and_tell(&pruning);
    pthread_mutex_destroy(&pruning.mutex);
    buf_clear(&pruning.output);
    return code;
}
