/* Real processes: a shell as the child, the test as its PID 1. Every wait is for an event; the limits only
 * bound a failure. */
#include "sidecar/child.h"

#include "base/clock.h"
#include "sidecar/events.h"

#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { LIMIT_MS = 20000 };

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static bool start_shell(struct child *child, const char *script, char *const *environment)
{
    char *arguments[] = {text_of("sh"), text_of("-c"), text_of(script), NULL};
    struct err err = {0};

    if (child_start(child, "/bin/sh", arguments, environment, &err))
        return true;
    printf("# %s\n", err.text);
    return false;
}

static char *const no_environment[] = {NULL};

/* Reaps on each SIGCHLD until the child has ended. */
static bool await_end(struct child *child, struct events *events)
{
    uint64_t deadline_ms = clock_monotonic_ms() + LIMIT_MS;

    while (!child_reap(child))
        if (events_wait(events, deadline_ms).kind == EVENT_TIME)
            return false;
    return true;
}

struct fixture {
    struct child child;
    struct events events;
    int pipe[2]; /* the child writes its findings to descriptor 1, which is pipe[1] */
};

static bool set_up(struct fixture *fixture)
{
    struct err err = {0};

    *fixture = (struct fixture){.child = CHILD_INIT};
    events_block_signals();
    return child_adopt_orphans(&err) && events_open(&fixture->events, &err) &&
           pipe2(fixture->pipe, O_CLOEXEC) == 0;
}

static void tear_down(struct fixture *fixture)
{
    child_kill(&fixture->child);
    EXPECT(child_sweep(&fixture->child, LIMIT_MS));
    events_clear(&fixture->events);
    (void)close(fixture->pipe[0]);
    (void)close(fixture->pipe[1]);
}

/* Starts the script with its standard output in the pipe. */
static bool start_piped(struct fixture *fixture, const char *script, char *const *environment)
{
    int before = dup(STDOUT_FILENO);
    bool started;

    (void)fflush(stdout);
    (void)dup2(fixture->pipe[1], STDOUT_FILENO);
    started = start_shell(&fixture->child, script, environment);
    (void)dup2(before, STDOUT_FILENO);
    (void)close(before);
    return started;
}

/* One line that the child wrote. */
static char *read_line(struct fixture *fixture)
{
    static char line[4096];
    size_t size = 0;

    while (size < sizeof(line) - 1 && read(fixture->pipe[0], line + size, 1) == 1 && line[size] != '\n')
        size++;
    line[size] = '\0';
    return line;
}

static pid_t read_number(struct fixture *fixture)
{
    return (pid_t)strtol(read_line(fixture), NULL, 10);
}

TEST(the_code_of_the_child_is_its_own)
{
    struct fixture fixture;

    REQUIRE(set_up(&fixture));
    REQUIRE(start_shell(&fixture.child, "exit 7", no_environment));
    REQUIRE(await_end(&fixture.child, &fixture.events));
    EXPECT_INT(fixture.child.exit_code, 7);
    tear_down(&fixture);
}

TEST(a_signal_that_ends_the_child_counts_from_128)
{
    struct fixture fixture;

    REQUIRE(set_up(&fixture));
    REQUIRE(start_shell(&fixture.child, "kill -9 $$", no_environment));
    REQUIRE(await_end(&fixture.child, &fixture.events));
    EXPECT_INT(fixture.child.exit_code, 137);
    tear_down(&fixture);
}

TEST(the_child_starts_with_a_clean_mask_and_default_dispositions)
{
    struct fixture fixture;
    uint64_t blocked = 1, ignored = 1;
    char *line;

    REQUIRE(set_up(&fixture));
    (void)signal(SIGUSR1, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    REQUIRE(
        start_piped(&fixture,
                    "while read name value; do case $name in SigBlk:|SigIgn:) printf '%s ' $value;; esac; "
                    "done </proc/$$/status; echo",
                    no_environment));
    /* 32 and 33 are glibc's own and out of anybody's reach. */
    line = read_line(&fixture);
    blocked = strtoull(line, &line, 16);
    ignored = strtoull(line, &line, 16);
    EXPECT_INT(blocked, 0);
    EXPECT_INT(ignored & ~UINT64_C(0x180000000), 0);
    REQUIRE(await_end(&fixture.child, &fixture.events));
    tear_down(&fixture);
}

TEST(the_child_inherits_no_descriptor_but_the_standard_ones)
{
    struct fixture fixture;
    int leaking = fcntl(STDERR_FILENO, F_DUPFD, 50); /* NOLINT: without O_CLOEXEC on purpose */
    char script[64];

    REQUIRE(set_up(&fixture));
    REQUIRE(leaking >= 50);
    (void)snprintf(script, sizeof(script), "test -e /proc/$$/fd/%d && echo leaked || echo clean", leaking);
    REQUIRE(start_piped(&fixture, script, no_environment));
    EXPECT_STR(read_line(&fixture), "clean");
    REQUIRE(await_end(&fixture.child, &fixture.events));
    tear_down(&fixture);
    (void)close(leaking);
}

TEST(the_child_leads_a_group_of_its_own)
{
    struct fixture fixture;

    REQUIRE(set_up(&fixture));
    REQUIRE(start_shell(&fixture.child, "read never", no_environment) || true);
    EXPECT(getpgid(fixture.child.pid) == fixture.child.pid);
    child_kill(&fixture.child);
    REQUIRE(await_end(&fixture.child, &fixture.events));
    tear_down(&fixture);
}

TEST(a_signal_reaches_the_child_alone)
{
    struct fixture fixture;

    REQUIRE(set_up(&fixture));
    REQUIRE(start_piped(&fixture,
                        "trap 'echo child; kill -9 $!; exit 3' TERM; "
                        "sh -c 'trap \"echo helper\" TERM; echo ready; while :; do sleep 0.05; done' & "
                        "while :; do wait; done",
                        no_environment));
    EXPECT_STR(read_line(&fixture), "ready");
    child_signal(&fixture.child, SIGTERM);
    EXPECT_STR(read_line(&fixture), "child");
    REQUIRE(await_end(&fixture.child, &fixture.events));
    EXPECT_INT(fixture.child.exit_code, 3);
    tear_down(&fixture);
}

TEST(the_rest_of_the_group_dies_with_the_child)
{
    struct fixture fixture;
    pid_t helper;

    REQUIRE(set_up(&fixture));
    REQUIRE(start_piped(&fixture, "sleep 1000 & echo $!; exit 0", no_environment));
    helper = read_number(&fixture);
    REQUIRE(helper > 1);
    REQUIRE(await_end(&fixture.child, &fixture.events));
    EXPECT_INT(fixture.child.exit_code, 0);
    EXPECT(child_sweep(&fixture.child, LIMIT_MS));
    EXPECT(kill(helper, 0) != 0 && errno == ESRCH);
    tear_down(&fixture);
}

TEST(whoever_left_the_group_is_swept_and_reaped_too)
{
    struct fixture fixture;
    pid_t helper;

    REQUIRE(set_up(&fixture));
    REQUIRE(start_piped(&fixture, "setsid sh -c 'sleep 1000 & echo $!; wait' & wait $!", no_environment));
    helper = read_number(&fixture);
    REQUIRE(helper > 1);
    child_kill(&fixture.child);
    REQUIRE(await_end(&fixture.child, &fixture.events));
    EXPECT(kill(helper, 0) == 0);
    EXPECT(child_sweep(&fixture.child, LIMIT_MS));
    EXPECT(kill(helper, 0) != 0 && errno == ESRCH);
    tear_down(&fixture);
}

TEST(an_orphan_is_reaped_while_the_child_runs)
{
    struct fixture fixture;
    uint64_t deadline_ms = clock_monotonic_ms() + LIMIT_MS;
    pid_t orphan;

    REQUIRE(set_up(&fixture));
    REQUIRE(start_piped(&fixture, "(sh -c 'echo $$; exit 0' &); read never <&-; exec sleep 1000",
                        no_environment));
    orphan = read_number(&fixture);
    REQUIRE(orphan > 1);
    while (kill(orphan, 0) == 0 && events_wait(&fixture.events, deadline_ms).kind != EVENT_TIME)
        EXPECT(!child_reap(&fixture.child));
    EXPECT(kill(orphan, 0) != 0 && errno == ESRCH);
    tear_down(&fixture);
}

TEST(a_command_is_found_in_the_path_as_the_shell_would)
{
    char *search[] = {text_of("X=/usr/bin"), text_of("PATH=/nowhere:/bin"), NULL};
    struct err err = {0};
    CLEANUP(freep) char *path = NULL;

    REQUIRE_OK(child_find("sh", search, &path, &err), &err);
    EXPECT_STR(path, "/bin/sh");
    freep(&path);
    path = NULL;
    REQUIRE_OK(child_find("/bin/sh", no_environment, &path, &err), &err);
    EXPECT_STR(path, "/bin/sh");
}

TEST(what_is_not_there_and_what_can_not_be_executed_are_told_apart)
{
    char directory[] = "/tmp/child_test.XXXXXX", script[64], variable[64];
    char *search[] = {variable, NULL};
    struct err err = {0};
    char *path = NULL;
    int fd;

    REQUIRE(mkdtemp(directory));
    (void)snprintf(script, sizeof(script), "%s/script", directory);
    (void)snprintf(variable, sizeof(variable), "PATH=%s", directory);
    fd = open(script, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    (void)close(fd);

    EXPECT(!child_find("no-such-command", no_environment, &path, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT(!child_find("/no/such/command", no_environment, &path, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT(!child_find("", no_environment, &path, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT(!child_find(script, no_environment, &path, &err));
    EXPECT_INT(err.code, ERR_DENIED);
    EXPECT(!child_find("script", search, &path, &err));
    EXPECT_INT(err.code, ERR_DENIED);
    EXPECT(!child_find("/tmp", no_environment, &path, &err));
    EXPECT_INT(err.code, ERR_DENIED);
    EXPECT(!path);
    (void)unlink(script);
    (void)rmdir(directory);
}

TEST(a_file_that_is_no_program_fails_at_the_start_and_leaves_no_child)
{
    char script[] = "/tmp/child_test.XXXXXX";
    char *arguments[] = {script, NULL};
    struct child child = CHILD_INIT;
    struct err err = {0};
    int fd = mkstemp(script);

    REQUIRE(fd >= 0);
    EXPECT(write(fd, "\177ELF no", 7) == 7 && fchmod(fd, 0700) == 0);
    (void)close(fd);
    events_block_signals();
    EXPECT(!child_start(&child, script, arguments, no_environment, &err));
    EXPECT_INT(err.code, ERR_DENIED);
    EXPECT_INT(child.pid, 0);
    EXPECT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    (void)unlink(script);
}

static bool holds(char *const *environment, const char *variable)
{
    for (; *environment; environment++)
        if (strcmp(*environment, variable) == 0)
            return true;
    return false;
}

TEST(the_environment_of_the_child_holds_no_secret_of_ours)
{
    char *environment[] = {text_of("PATH=/bin"),
                           text_of("HOLDFAST_STORE=s3://x"),
                           text_of("AWS_ACCESS_KEY_ID=a"),
                           text_of("AWS_SECRET_ACCESS_KEY=b"),
                           text_of("AWS_SESSION_TOKEN=c"),
                           text_of("AWS_REGION=d"),
                           text_of("AWS_ACCESS_KEY_ID_OF_THE_APP=e"),
                           NULL};
    struct config config = {.used_aws_credentials = true, .child_env = ""};
    CLEANUP(freep) char **scrubbed = child_environment(environment, &config);

    EXPECT(holds(scrubbed, "PATH=/bin"));
    EXPECT(holds(scrubbed, "AWS_REGION=d"));
    EXPECT(holds(scrubbed, "AWS_ACCESS_KEY_ID_OF_THE_APP=e"));
    EXPECT(!holds(scrubbed, "HOLDFAST_STORE=s3://x"));
    EXPECT(!holds(scrubbed, "AWS_ACCESS_KEY_ID=a"));
    EXPECT(!holds(scrubbed, "AWS_SECRET_ACCESS_KEY=b"));
    EXPECT(!holds(scrubbed, "AWS_SESSION_TOKEN=c"));
}

TEST(credentials_that_holdfast_did_not_use_are_the_childs)
{
    char *environment[] = {text_of("AWS_ACCESS_KEY_ID=a"), text_of("HOLDFAST_STORE=s3://x"), NULL};
    struct config config = {.used_aws_credentials = false, .child_env = "HOLDFAST_STORE"};
    CLEANUP(freep) char **scrubbed = child_environment(environment, &config);

    EXPECT(holds(scrubbed, "AWS_ACCESS_KEY_ID=a"));
    EXPECT(holds(scrubbed, "HOLDFAST_STORE=s3://x"));
}

TAP_MAIN()
