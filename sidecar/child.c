/* The child, as PID 1 has to treat it.
 *
 * The numbers of processes are reused, so a kill(2) that comes late can meet a stranger. Two things keep that
 * from happening: signals for the child go through a pidfd, and the group is killed while its leader is still
 * a zombie, that is before the number is given back. Hence waitid(WNOWAIT) first, and the reaping after.
 *
 * posix_spawn(3) of glibc does all the rest without running our code in a forked copy of a process with
 * threads: it reports an exec that failed through a pipe of its own, and blocks all signals until the child's
 * mask is set, which is what makes it safe to take the terminal from the background. */
#include "sidecar/child.h"

#include "base/buf.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *search_path(char *const *environment)
{
    for (; *environment; environment++)
        if (strncmp(*environment, "PATH=", 5) == 0)
            return *environment + 5;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* 0, or the errno that says why the file at path can't be executed. */
static int check_executable(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return errno;
    if (!S_ISREG(status.st_mode))
        return EACCES;
    return access(path, X_OK) == 0 ? 0 : errno;
}

static bool cannot_execute(const char *name, int number, struct err *err)
{
    errno = number;
    if (number == ENOENT || number == ENOTDIR)
        return err_set(err, ERR_NOT_FOUND, "the command %s is not found: mend what stands after `run --`",
                       name);
    err_record_errno(err, "the command %s can't be executed", name);
    err->code = ERR_DENIED;
    return false;
}

bool child_find(const char *name, char *const *environment, char **ret_path, struct err *err)
{
    int worst = ENOENT;

    if (strchr(name, '/')) {
        worst = check_executable(name);
        if (worst != 0)
            return cannot_execute(name, worst, err);
        *ret_path = xstrdup(name);
        return true;
    }
    for (const char *at = search_path(environment); *name && at;) {
        size_t size = strcspn(at, ":");
        CLEANUP(freep) char *path = xasprintf("%.*s/%s", size ? (int)size : 1, size ? at : ".", name);
        int fault = check_executable(path);
        if (fault == 0) {
            *ret_path = MOVE(path);
            return true;
        }
        if (fault == EACCES)
            worst = EACCES;
        at = at[size] ? at + size + 1 : NULL;
    }
    return cannot_execute(*name ? name : "\"\"", worst, err);
}

static bool is_kept(const char *variable, const struct config *config)
{
    static const char *const credentials[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                              "AWS_SESSION_TOKEN"};
    size_t size = strcspn(variable, "=");

    if (config_child_may_see(config, variable, size))
        return true;
    if (strncmp(variable, "HOLDFAST_", 9) == 0)
        return false;
    for (size_t at = 0; config->used_aws_credentials && at < sizeof(credentials) / sizeof(credentials[0]);
         at++)
        if (strlen(credentials[at]) == size && strncmp(variable, credentials[at], size) == 0)
            return false;
    return true;
}

char **child_environment(char *const *environment, const struct config *config)
{
    size_t count = 0, kept = 0;
    char **scrubbed;

    while (environment[count])
        count++;
    scrubbed = xcalloc(count + 1, sizeof(*scrubbed));
    for (size_t at = 0; at < count; at++)
        if (is_kept(environment[at], config))
            scrubbed[kept++] = environment[at];
    return scrubbed;
}

bool child_adopt_orphans(struct err *err)
{
    if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return err_errno(err, "become the reaper of orphaned processes");
    return true;
}

/* Standard input, if it is our controlling terminal and we are in front: `docker run -it`, a shell. */
static int foreground_terminal(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp() ? STDIN_FILENO : -1;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    int fault;

    sigemptyset(&none);
    sigfillset(&all);
    fault = posix_spawnattr_setflags(attributes,
                                     POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    fault = fault ? fault : posix_spawnattr_setsigmask(attributes, &none);
    fault = fault ? fault : posix_spawnattr_setsigdefault(attributes, &all);
    return fault ? fault : posix_spawnattr_setpgroup(attributes, 0);
}

static int set_actions(posix_spawn_file_actions_t *actions, int terminal_fd)
{
    int fault = terminal_fd >= 0 ? posix_spawn_file_actions_addtcsetpgrp_np(actions, terminal_fd) : 0;

    return fault ? fault : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
}

static int spawn(struct child *child, const char *path, char *const *arguments, char *const *environment)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int fault;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    fault = set_attributes(&attributes);
    fault = fault ? fault : set_actions(&actions, child->terminal_fd);
    fault = fault ? fault : posix_spawn(&child->pid, path, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return fault;
}

bool child_start(struct child *child, const char *path, char *const *arguments, char *const *environment,
                 struct err *err)
{
    int fault;

    assert(child->pid == 0);
    child->terminal_fd = foreground_terminal();
    fault = spawn(child, path, arguments, environment);
    if (fault != 0) {
        child->pid = 0;
        return cannot_execute(path, fault, err);
    }
    child->pid_fd = pidfd_open(child->pid, 0);
    if (child->pid_fd < 0) { /* Linux before 5.3; nothing that holdfast supports */
        err_record_errno(err, "watch the child");
        child_kill(child);
        return false;
    }
    return true;
}

void child_signal(const struct child *child, int signal)
{
    if (child->pid_fd >= 0 && !child->ended)
        (void)pidfd_send_signal(child->pid_fd, signal, NULL, 0); /* ESRCH: it has just ended */
}

void child_kill(const struct child *child)
{
    if (child->pid > 0 && !child->ended)
        (void)kill(-child->pid, SIGKILL);
}

static void take_exit(struct child *child, const siginfo_t *info)
{
    child_kill(child);
    child->exit_code = info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
    child->ended = true;
}

bool child_reap(struct child *child)
{
    while (true) {
        siginfo_t info = {.si_pid = 0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return child->ended;
        if (info.si_pid == child->pid && !child->ended)
            take_exit(child, &info);
        (void)waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
    }
}

void child_clear(struct child *child)
{
    if (child->terminal_fd >= 0)
        (void)tcsetpgrp(child->terminal_fd, getpgrp()); /* a terminal that is gone needs no owner */
    if (child->pid_fd >= 0)
        (void)close(child->pid_fd);
    child->terminal_fd = child->pid_fd = -1;
}
