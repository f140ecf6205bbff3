/* What the Convex shim decides. How it executes is tested from outside (tests/system/shim.t). */
#include "sidecar/shim.h"

#include "tests/tap.h"

#include <limits.h>

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static struct address upstream_of(const char *text)
{
    struct address address = {.size = 0};

    EXPECT(address_parse(text, &address));
    return address;
}

/* The words that shim_arguments() makes of a line, separated by blanks again. */
static char *arguments_of(const char *line)
{
    struct shim_options options = {.port = "13210", .site_port = "13211", .interface = "127.0.0.1"};
    CLEANUP(freep) char *copy = xstrdup(line);
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(4096);
    char *words[32] = {NULL}, *rest = copy;
    size_t count = 0;

    for (char *word; count < 31 && (word = strsep(&rest, " "));)
        words[count++] = word;

    CLEANUP(freep) char **arguments = shim_arguments(words, &options);
    for (size_t at = 0; arguments[at]; at++)
        buf_printf(&text, "%s%s", at ? " " : "", arguments[at]);
    return xstrdup(buf_text(&text));
}

#define OURS "--port 13210 --site-proxy-port 13211 --interface 127.0.0.1"
#define EXPECT_ARGUMENTS(line, wanted)                      \
    do {                                                    \
        CLEANUP(freep) char *actual__ = arguments_of(line); \
        EXPECT_STR(actual__, wanted);                       \
    } while (0)

TEST(the_two_names_of_the_shim_are_told_from_all_others)
{
    EXPECT(shim_is_called("convex-local-backend"));
    EXPECT(shim_is_called("./convex-local-backend"));
    EXPECT(shim_is_called("/opt/holdfast/convex/run_backend.sh"));
    EXPECT(!shim_is_called("holdfast"));
    EXPECT(!shim_is_called("/convex-local-backend/holdfast"));
    EXPECT(!shim_is_called("convex-local-backend2"));
    EXPECT(!shim_is_called("/"));
    EXPECT(!shim_is_called(""));
}

TEST(only_this_program_is_the_shim_whatever_its_name)
{
    char link[] = "/tmp/holdfast-shim-XXXXXX";
    char own[PATH_MAX] = "";

    REQUIRE(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
    REQUIRE(mkdtemp(link) != NULL);
    CLEANUP(freep) char *name = xasprintf("%s/run_backend.sh", link);
    REQUIRE(symlink(own, name) == 0);
    EXPECT(shim_is_program(own));
    EXPECT(shim_is_program(name));
    EXPECT(!shim_is_program("/bin/sh"));
    EXPECT(!shim_is_program("/nowhere/run_backend.sh"));
    EXPECT(unlink(name) == 0);
    EXPECT(rmdir(link) == 0);
}

TEST(the_scripts_ports_are_replaced_and_nothing_else)
{
    EXPECT_ARGUMENTS(
        "./convex-local-backend --instance-name a --port 3210 --site-proxy-port 3211 --convex-origin "
        "http://127.0.0.1:3210 --local-storage /d db",
        "./convex-local-backend " OURS
        " --instance-name a --convex-origin http://127.0.0.1:3210 --local-storage /d db");
}

TEST(every_spelling_of_a_port_is_replaced)
{
    EXPECT_ARGUMENTS("b --port=1 --site-proxy-port=2 --interface=3 x", "b " OURS " x");
    EXPECT_ARGUMENTS("b -p 1 -i 2 x", "b " OURS " x");
    EXPECT_ARGUMENTS("b -p1 -p=2 -i0.0.0.0 x", "b " OURS " x");
}

TEST(options_that_only_begin_like_ours_stay)
{
    EXPECT_ARGUMENTS("b --portal 1 --interfaces --site-proxy-port-file=2 --p --instance-name -",
                     "b " OURS " --portal 1 --interfaces --site-proxy-port-file=2 --p --instance-name -");
}

TEST(what_follows_two_dashes_is_no_option)
{
    EXPECT_ARGUMENTS("b --port 1 -- --port -p1 --", "b " OURS " -- --port -p1 --");
}

TEST(without_ports_they_are_given_all_the_same)
{
    EXPECT_ARGUMENTS("b", "b " OURS);
    EXPECT_ARGUMENTS("b --help", "b " OURS " --help");
}

TEST(an_option_without_its_value_at_the_end_is_no_overrun)
{
    EXPECT_ARGUMENTS("b x --port", "b " OURS " x");
    EXPECT_ARGUMENTS("b x -i", "b " OURS " x");
}

TEST(the_backends_ports_follow_from_the_upstream)
{
    struct address upstream = upstream_of("127.0.0.1:13210");
    struct shim_options options;
    struct err err = {0};

    REQUIRE_OK(shim_choose_options(&upstream, &options, &err), &err);
    EXPECT_STR(options.port, "13210");
    EXPECT_STR(options.site_port, "13211");
    EXPECT_STR(options.interface, "127.0.0.1");

    upstream = upstream_of("127.0.0.2:65535");
    REQUIRE_OK(shim_choose_options(&upstream, &options, &err), &err);
    EXPECT_STR(options.port, "65535");
    EXPECT_STR(options.site_port, "65534");
    EXPECT_STR(options.interface, "127.0.0.2");
}

TEST(an_upstream_that_convex_cannot_listen_on_is_refused_with_the_remedy)
{
    const char *const texts[] = {"[::1]:13210", ":13210"};

    for (size_t at = 0; at < sizeof(texts) / sizeof(texts[0]); at++) {
        struct address upstream = upstream_of(texts[at]);
        struct shim_options options = {.port = "x"};
        struct err err = {0};
        EXPECT(!shim_choose_options(&upstream, &options, &err));
        EXPECT_INT(err.code, ERR_CONFIG);
        EXPECT(strstr(err.text, "HOLDFAST_UPSTREAM") && strstr(err.text, "127.0.0.1"));
        EXPECT_STR(options.port, "x");
    }
}

static void expect_temporary(const char *exclude, const char *current, const char *wanted)
{
    struct config config = {.data_directory = "/convex/data/", .exclude = exclude};
    CLEANUP(freep) char *path = NULL;
    struct err err = {0};

    REQUIRE_OK(shim_choose_temporary(&config, current, &path, &err), &err);
    EXPECT_STR(path, wanted);
}

TEST(temporary_files_leave_the_data_directory_for_its_excluded_folder)
{
    expect_temporary("tmp", NULL, "/convex/data/tmp");
    expect_temporary("tmp", "", "/convex/data/tmp");
    expect_temporary("tmp", "/convex/data", "/convex/data/tmp");
    expect_temporary("tmp", "/convex/data//", "/convex/data/tmp");
    expect_temporary("a:t*", "/convex/data/scratch", "/convex/data/tmp");
}

TEST(a_folder_for_temporary_files_that_is_not_shipped_stays)
{
    expect_temporary("tmp", "/convex/data/tmp", "/convex/data/tmp");
    expect_temporary("tmp", "/convex/data/tmp/deeper", "/convex/data/tmp/deeper");
    expect_temporary("a:scratch", "/convex/data/scratch", "/convex/data/scratch");
    expect_temporary("tmp", "/var/tmp", "/var/tmp");
    expect_temporary("", "/convex/database", "/convex/database");
}

TEST(temporary_files_that_would_be_shipped_are_refused_with_the_remedy)
{
    struct config config = {.data_directory = "/convex/data", .exclude = "cache"};
    CLEANUP(freep) char *path = NULL;
    struct err err = {0};

    EXPECT(!shim_choose_temporary(&config, "/convex/data", &path, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(strstr(err.text, "HOLDFAST_EXCLUDE is cache") && strstr(err.text, "add tmp"));
    EXPECT(path == NULL);
}

static bool holds(char *const *environment, const char *variable)
{
    for (; *environment; environment++)
        if (strcmp(*environment, variable) == 0)
            return true;
    return false;
}

TEST(the_shim_gets_what_it_reads_and_no_secret)
{
    char *environment[] = {text_of("PATH=/bin"),
                           text_of("HOLDFAST_UPSTREAM=127.0.0.1:1"),
                           text_of("HOLDFAST_CONVEX_BINARY=/b"),
                           text_of("HOLDFAST_CHILD_ENV=HOLDFAST_SYNC_INTERVAL"),
                           text_of("HOLDFAST_SYNC_INTERVAL=1s"),
                           text_of("HOLDFAST_STORE=s3://x"),
                           text_of("HOLDFAST_S3_SECRET_ACCESS_KEY=b"),
                           text_of("AWS_SECRET_ACCESS_KEY=b"),
                           NULL};
    struct config config = {.used_aws_credentials = true, .child_env = "HOLDFAST_SYNC_INTERVAL"};
    CLEANUP(freep) char **given = shim_environment(environment, &config);

    for (size_t at = 0; at < 5; at++)
        EXPECT(holds(given, environment[at]));
    for (size_t at = 5; environment[at]; at++)
        EXPECT(!holds(given, environment[at]));
}

TAP_MAIN()
