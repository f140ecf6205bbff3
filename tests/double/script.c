#include "tests/double/script.h"

#include "base/cleanup.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char PATH_VARIABLE[] = "TEST_SCRIPT_PATH";

enum { CHANNEL = 3, SQL_MAX = 16384, ANSWER_MAX = 300 };

static void must(bool done, const char *what)
{
    if (done)
        return;
    perror(what);
    abort();
}

/* The program: an empty answer means success. */
static int run_script(const char *path)
{
    static char sql[SQL_MAX];
    sqlite3 *connection = NULL;
    ssize_t size;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sqlite3_open_v2(path, &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI,
                        NULL) != SQLITE_OK)
        return EXIT_FAILURE;
    (void)sqlite3_busy_timeout(connection, 5000);
    while ((size = recv(CHANNEL, sql, sizeof(sql) - 1, 0)) > 0) {
        char answer[ANSWER_MAX] = "";
        sql[size] = '\0';
        if (sqlite3_exec(connection, sql, NULL, NULL, NULL) != SQLITE_OK)
            (void)snprintf(answer, sizeof(answer), "%s: %.200s", sqlite3_errmsg(connection), sql);
        if (send(CHANNEL, answer, strlen(answer) + 1, 0) < 0)
            break;
    }
    return sqlite3_close(connection) == SQLITE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

__attribute__((constructor)) static void become_script(void)
{
    const char *path = getenv(PATH_VARIABLE);

    if (path)
        _exit(run_script(path));
}

/* The test's side. */

void script_start(struct script *script, const char *path)
{
    int ends[2];

    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    must(setenv(PATH_VARIABLE, path, 1) == 0, "setenv");
    *script = (struct script){.pid = fork(), .channel = ends[0]};
    must(script->pid >= 0, "fork");
    if (script->pid == 0) {
        if (ends[1] == CHANNEL)
            (void)fcntl(CHANNEL, F_SETFD, 0);
        else
            (void)dup2(ends[1], CHANNEL);
        (void)execl("/proc/self/exe", "script", (char *)NULL);
        _exit(127);
    }
    (void)unsetenv(PATH_VARIABLE);
    (void)close(ends[1]);
}

void script_send(struct script *script, const char *sql)
{
    must(!script->is_busy && strlen(sql) < SQL_MAX, "script");
    must(send(script->channel, sql, strlen(sql), MSG_NOSIGNAL) >= 0, "send to the script");
    script->is_busy = true;
}

bool script_is_done(struct script *script)
{
    struct pollfd answer = {.fd = script->channel, .events = POLLIN};

    return !script->is_busy || poll(&answer, 1, 0) > 0;
}

bool script_wait(struct script *script)
{
    char answer[ANSWER_MAX] = "the script is gone";

    must(script->is_busy, "script");
    script->is_busy = false;
    (void)recv(script->channel, answer, sizeof(answer), 0);
    if (answer[0] != '\0')
        printf("#   %s\n", answer);
    return answer[0] == '\0';
}

bool script_run(struct script *script, const char *sql)
{
    script_send(script, sql);
    return script_wait(script);
}

static void await_end(struct script *script)
{
    must(waitpid(script->pid, NULL, 0) == script->pid, "wait for the script");
    script->pid = -1;
}

void script_stop(struct script *script)
{
    (void)close(script->channel);
    await_end(script);
}

void script_kill(struct script *script)
{
    assert(script->pid > 0); /* -1 would be everybody */
    (void)kill(script->pid, SIGKILL);
    (void)close(script->channel);
    await_end(script);
}
