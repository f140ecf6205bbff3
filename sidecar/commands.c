#include "sidecar/commands.h"

#include "base/fs.h"
#include "base/log.h"
#include "sidecar/config_value.h"
#include "sidecar/lifecycle.h"

#include <string.h>
#include <unistd.h>

static int not_in_this_release(const struct invocation *invocation)
{
    (void)invocation;
    log_error("this command comes with a later release: `holdfast help` lists what is there");
    return EXIT_CONFIG;
}

static const struct command commands[] = {
    {"run", "restore, start CMD, front its port, ship every change: the entrypoint of the container", "",
     "-- CMD…",
     "  Everything is set by HOLDFAST_* variables: `holdfast help environment` lists them. The exit code is "
     "CMD's own\n"
     "  (128 + n if signal n ended it) when everything was shipped; 74 when not, 76 when another container "
     "took over,\n"
     "  64 and 65 when it refused to start.",
     NEEDS_STORE, NULL},
    {"restore", "write a copy of what is in the store elsewhere; disturbs nobody", "to at follow json", NULL,
     "  With --follow it goes on until SIGTERM or SIGINT, then exits with 0: a warm standby. It says once "
     "that the "
     "copy is\n"
     "  up to date; with --json it prints an object for each advance. The copy is for use after that; nobody "
     "may "
     "have its\n"
     "  databases open meanwhile. A directory that a follower has left is gone on with. Before anything else "
     "writes "
     "to it,\n"
     "  remove .holdfast in it: until then `run` refuses it.",
     NEEDS_STORE, command_restore},
    {"list", "what can be restored", "json", NULL, "", NEEDS_STORE, command_list},
    {"verify", "read back everything that a restore could need, and prove it", "deep json", NULL,
     "  Reading back proves that the store holds what was shipped, byte for byte, and that bases can be "
     "read; "
     "that every\n"
     "  delta can be applied only restores prove. With --deep the newest and the oldest point are restored "
     "too, "
     "one after\n"
     "  the other, and SQLite's integrity_check judges every database; $TMPDIR needs room for one copy.",
     NEEDS_STORE, command_verify},
    {"prune", "delete what retention allows", "dry-run json", NULL,
     "  `run` does it by itself; this does it now, also beside one that runs. Only what lies below the "
     "oldest "
     "point that\n"
     "  `holdfast list` shows goes, as the log says it: HOLDFAST_RETENTION takes effect with the next base.",
     NEEDS_STORE, command_prune},
    {"status", "ask the holdfast that runs here (at HOLDFAST_ADMIN_LISTEN)", "json", NULL, "", NEEDS_CONFIG,
     command_status},
    {"snapshot", "have the holdfast that runs here cut a base now, and wait until it is announced", "json",
     NULL,
     "  It is asked at HOLDFAST_ADMIN_LISTEN. While the store is out of reach this waits; interrupting it "
     "cancels nothing:\n"
     "  the base is cut all the same. `holdfast restore --at RECORD` takes the record that is printed. 69 "
     "when "
     "no holdfast\n"
     "  runs here, 74 when it stopped before.",
     NEEDS_CONFIG, command_snapshot},
    {"doctor", "check everything that can be wrong and say the remedy", "json", "[-- CMD]", "", NEEDS_REPORT,
     command_doctor},
    {"version", "versions of holdfast and of the libraries in it", "json", NULL, "", NEEDS_NOTHING,
     command_version},
    {"help", "this, or `help environment`, or `help COMMAND`", "markdown", "[COMMAND|environment]", "",
     NEEDS_NOTHING, command_help},
    {"pin", "keep a point for ever (a later release)", NULL, "NAME", "", NEEDS_NOTHING, not_in_this_release},
    {"fork", "copy into another store (a later release)", NULL, "--to STORE", "", NEEDS_NOTHING,
     not_in_this_release},
};

enum { COMMANDS_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const char *next_command(void *context, size_t index)
{
    (void)context;
    return index < COMMANDS_COUNT ? commands[index].name : NULL;
}

bool command_find(const char *name, const struct command **ret_command, struct err *err)
{
    const char *nearest;

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t at = 0; at < COMMANDS_COUNT; at++) {
        if (strcmp(commands[at].name, name) == 0) {
            *ret_command = &commands[at];
            return true;
        }
    }
    nearest = value_nearest(name, next_command, NULL);
    if (nearest)
        return err_set(err, ERR_CONFIG, "there is no command %.40s: did you mean %s?", name, nearest);
    return err_set(err, ERR_CONFIG, "there is no command %.40s: `holdfast help` lists them", name);
}

void commands_describe(struct buf *text)
{
    buf_add_text(text,
                 "holdfast keeps the data directory of a backend in an object store.\n\n"
                 "usage: holdfast COMMAND [OPTIONS]\n\n");
    for (size_t at = 0; at < COMMANDS_COUNT; at++)
        buf_printf(text, "  %-9s %s\n", commands[at].name, commands[at].summary);
    buf_add_text(text,
                 "\n`holdfast COMMAND --help` says more; `holdfast help environment` lists the variables.\n"
                 "\nexit codes:\n"
                 "    0  done\n"
                 "   64  the configuration or the arguments have to change; nothing was touched\n"
                 "   65  an object in the store is damaged; the message names it\n"
                 "   69  status, snapshot: no holdfast runs here\n"
                 "   74  the store could not be reached, or not everything was shipped\n"
                 "  128  and more: ended by a signal, 130 by SIGINT\n"
                 "`holdfast run --help` says what else a run may end with.\n");
}

int command_print(struct buf *text)
{
    struct err err = {0};

    if (!buf_check(text, "the output", &err) || !fs_write_all(STDOUT_FILENO, text->bytes, text->size, &err)) {
        log_error("standard output: %s", err.text);
        return EXIT_NOT_SHIPPED;
    }
    return EXIT_OK;
}

int command_failed(const struct err *err)
{
    log_error("%s", err->text);
    return life_error_exit_code(err);
}

int command_ended(const struct err *err, int signal)
{
    if (signal == 0)
        return command_failed(err);
    if (err->code == ERR_CANCELED)
        log_info("interrupted before it was done");
    else
        log_error("%s", err->text);
    return EXIT_SIGNAL_BASE + signal;
}
