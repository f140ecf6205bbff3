/* holdfast: keeps a stateful backend alive on disks that are thrown away.
 *
 * The whole life of a container is live(), and main() is the only place that exits. As PID 1 an early exit
 * would kill the backend and lose what was not shipped; so every function below returns, and says what
 * happened as a value. */
#include "base/buf.h"
#include "base/log.h"
#include "sidecar/commands.h"
#include "sidecar/events.h"
#include "sidecar/lifecycle.h"
#include "sidecar/run.h"
#include "sidecar/shim.h"

#include <string.h>
#include <unistd.h>

/* listen → restore → launch → serve → drain → flush → exit. Whatever ends a chapter early, the last three are
 * always gone through; they do nothing where there is nothing to end. */
static int live(const struct config *config, char *const *environment, char *const *command)
{
    CLEANUP(run_freep) struct run *run = run_new(config, environment, command);

    if (run_listen(run) && run_restore(run) && run_launch(run))
        run_serve(run);
    run_drain(run);
    run_flush(run);
    return run_exit_code(run);
}

/* All faults at once, so that one look at the log is enough. */
static void tell_report(const struct config_report *report)
{
    for (size_t at = 0; at < config_report_lines(report); at++)
        log_write(at < report->faults ? LOG_ERROR : LOG_WARNING, "%s", report->lines[at]);
}

static int execute(const struct command *command, struct invocation *invocation, const struct config *config)
{
    if (command->execute)
        return command->execute(invocation);
    if (invocation->arguments->rest[0])
        return live(config, invocation->environment, invocation->arguments->rest);
    log_error("run wants a command to start: holdfast run -- CMD…");
    return EXIT_CONFIG;
}

static int configure_and_execute(const struct command *command, const struct arguments *arguments)
{
    bool stores = command->needs == NEEDS_STORE || command->needs == NEEDS_REPORT;
    bool forgives = command->needs == NEEDS_NOTHING || command->needs == NEEDS_REPORT;
    struct config config;
    struct config_report report;
    bool configured =
        config_load(environ, stores ? CONFIG_WITH_STORE : CONFIG_WITHOUT_STORE, &config, &report);
    struct invocation invocation = {&config, &report, arguments, environ};
    int code = EXIT_CONFIG;

    log_configure((enum log_format)config.log_format, (enum log_level)config.log_level);
    if (!forgives)
        tell_report(&report);
    if (configured || forgives)
        code = execute(command, &invocation, &config);
    config_clear(&config);
    return code;
}

static int print_help(const struct command *command)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);

    arguments_describe(command, &text);
    return command_print(&text);
}

int main(int count, char **words)
{
    const struct command *command = NULL;
    struct arguments arguments;
    struct err err = {0};

    memory_configure();
    if (count > 0 && shim_is_called(words[0]))
        return shim_execute(words, environ);
    events_block_signals();
    if (count < 2) {
        log_error("holdfast wants a command: `holdfast help` lists them");
        return EXIT_CONFIG;
    }
    if (!command_find(words[1], &command, &err) || !arguments_parse(command, words + 2, &arguments, &err))
        return command_failed(&err);
    return arguments.help ? print_help(command) : configure_and_execute(command, &arguments);
}
