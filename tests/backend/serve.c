/* The life of the backend, in Convex's order (facts/convex.md 2.5 and 3): credentials, database, blobs, and
 * only when all is loaded the ports. Then it waits for SIGINT; nothing else stops it gently. */
#include "tests/backend/backend.h"
#include "tests/backend/blobs.h"
#include "tests/backend/commands.h"
#include "tests/backend/credentials.h"
#include "tests/backend/first_boot.h"
#include "tests/backend/flags.h"
#include "tests/backend/hooks.h"
#include "tests/backend/pause.h"
#include "tests/backend/say.h"

#include "base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

struct settings {
    const char *data, *interface;
    uint64_t port, site_port;
    uint64_t start_delay_ms, commit_delay_ms, websocket_ping_ms;
    uint64_t exit_after_commits, exit_code;
    bool second_database, no_background_writes, ignore_stop;
    struct flag_list crash_at;
};

const char serve_help[] =
    "usage: backend [serve] --data DIR --port N\n"
    "  --interface A            IPv4 address to listen on (0.0.0.0)\n"
    "  --site-proxy-port N      a second port, for HTTP actions\n"
    "  --start-delay-ms N       pretend that loading takes so long\n"
    "  --commit-delay-ms N      keep each transaction open for so long\n"
    "  --second-database        commit everything in second.sqlite3 too, after db.sqlite3\n"
    "  --no-background-writes   write nothing that nobody asked for\n"
    "  --websocket-ping-ms N    (5000) 0: no pings\n"
    "  --ignore-stop            say that SIGINT came, and go on\n"
    "  --exit-after-commits N   then exit with --exit-code N (0)\n"
    "  --crash-at POINT         SIGKILL there; a wrong name lists them; may be repeated\n"
    "other commands: load, check, generate, commit-load; each with --help\n";

static bool settings_read(struct settings *settings, int count, char **arguments, struct err *err)
{
    struct flag flags[] = {
        {.name = "data", .kind = FLAG_TEXT, .target = &settings->data, .required = true},
        {.name = "port", .kind = FLAG_NUMBER, .target = &settings->port, .required = true},
        {.name = "interface", .kind = FLAG_TEXT, .target = &settings->interface},
        {.name = "site-proxy-port", .kind = FLAG_NUMBER, .target = &settings->site_port},
        {.name = "start-delay-ms", .kind = FLAG_NUMBER, .target = &settings->start_delay_ms},
        {.name = "commit-delay-ms", .kind = FLAG_NUMBER, .target = &settings->commit_delay_ms},
        {.name = "websocket-ping-ms", .kind = FLAG_NUMBER, .target = &settings->websocket_ping_ms},
        {.name = "exit-after-commits", .kind = FLAG_NUMBER, .target = &settings->exit_after_commits},
        {.name = "exit-code", .kind = FLAG_NUMBER, .target = &settings->exit_code},
        {.name = "second-database", .kind = FLAG_SWITCH, .target = &settings->second_database},
        {.name = "no-background-writes", .kind = FLAG_SWITCH, .target = &settings->no_background_writes},
        {.name = "ignore-stop", .kind = FLAG_SWITCH, .target = &settings->ignore_stop},
        {.name = "crash-at", .kind = FLAG_LIST, .target = &settings->crash_at},
    };

    *settings = (struct settings){.interface = "0.0.0.0", .websocket_ping_ms = 5000};
    return flags_parse(flags, sizeof(flags) / sizeof(flags[0]), count, arguments, err) &&
           hooks_arm(&settings->crash_at, err);
}

static bool open_persistence(struct backend *backend, const struct settings *settings, struct err *err)
{
    CLEANUP(freep) char *path = xasprintf("%s/db.sqlite3", settings->data);
    CLEANUP(freep) char *second = xasprintf("%s/second.sqlite3", settings->data);

    if (!persistence_open(path, settings->second_database ? second : NULL, &backend->persistence, err))
        return false;
    say("Connected to SQLite at %s", path);
    return database_load(backend->persistence, err);
}

static bool start_committer(struct backend *backend, const struct settings *settings, struct err *err)
{
    struct committer_options options = {.background_writes = !settings->no_background_writes,
                                        .exit_after_commits = settings->exit_after_commits,
                                        .exit_code = (int)settings->exit_code};
    struct writer *writer;

    if (!writer_open(backend->persistence, 0, &writer, err))
        return false;
    backend->persistence->commit_delay_ms = (unsigned)settings->commit_delay_ms;
    return committer_start(backend->persistence, writer, &options, &backend->committer, err);
}

static bool open_server(struct backend *backend, const struct settings *settings, struct server **ret_server,
                        struct err *err)
{
    struct server_options options = {.interface = settings->interface,
                                     .port = (unsigned)settings->port,
                                     .site_port = (unsigned)settings->site_port,
                                     .handle = route_request,
                                     .context = backend};

    backend->websocket_ping_ms = (unsigned)settings->websocket_ping_ms;
    if (!server_open(&options, ret_server, err))
        return false;
    say("backend listening on %s:%u", options.interface, options.port);
    if (options.site_port)
        say("backend_http_proxy listening on %s:%u", options.interface, options.site_port);
    return true;
}

static bool make_directory(const char *path, struct err *err)
{
    return mkdir(path, 0755) == 0 || errno == EEXIST || err_errno(err, "make %s", path);
}

static bool load(struct backend *backend, const struct settings *settings, struct err *err)
{
    if (!make_directory(settings->data, err) || !credentials_refresh(settings->data, err) ||
        !open_persistence(backend, settings, err) || !blobs_open(settings->data, &backend->files_fd, err) ||
        !start_committer(backend, settings, err))
        return false;
    pause_ms(settings->start_delay_ms);
    return true;
}

/* From here on SIGINT is ours; while loading, it killed (facts/convex.md 3). */
static int take_stop_signal(void)
{
    sigset_t stop;
    int fd;

    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    fd = signalfd(-1, &stop, SFD_CLOEXEC);
    (void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
    return fd;
}

static void wait_for_signal(int signal_fd)
{
    struct signalfd_siginfo info;

    while (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        continue;
}

/* Waits without limit for requests in flight; a second SIGINT doesn't. */
static void drain(struct server *server, int signal_fd)
{
    struct pollfd waiting[] = {{.fd = server_drain(server), .events = POLLIN},
                               {.fd = signal_fd, .events = POLLIN}};

    say("Shutdown initiated, draining existing requests...");
    while (poll(waiting, 2, -1) < 0)
        continue;
    if (waiting[1].revents) {
        say("Forcibly shutting down!");
        _exit(EXIT_SUCCESS);
    }
}

static void run_until_stopped(struct backend *backend, struct server *server, const struct settings *settings,
                              int signal_fd)
{
    do {
        wait_for_signal(signal_fd);
        say("Received Ctrl-C signal!");
    } while (settings->ignore_stop);
    drain(server, signal_fd);
    say("Shutting down application...");
    committer_stop(backend->committer);
    persistence_close(backend->persistence);
    say("Database shutdown");
    say("Server successfully shut down.");
}

int serve_command(int count, char **arguments)
{
    /* Static, as sockets that were upgraded may still use it while the program exits. */
    static struct backend backend;
    static struct server *server;
    struct settings settings;
    int signal_fd;
    struct err err;

    if (!settings_read(&settings, count, arguments, &err)) {
        complain("%s", err.text);
        return 2; /* clap's */
    }
    (void)signal(SIGUSR1, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    say("Starting a backend with SQLite %s", sql_version());
    if (!load(&backend, &settings, &err)) {
        complain("%s", err.text);
        return EXIT_FAILURE;
    }
    signal_fd = take_stop_signal();
    if (!open_server(&backend, &settings, &server, &err)) {
        complain("%s", err.text);
        return EXIT_FAILURE;
    }
    run_until_stopped(&backend, server, &settings, signal_fd);
    return EXIT_SUCCESS;
}
