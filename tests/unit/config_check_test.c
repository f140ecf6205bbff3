/* Texts in the environment that could never do what they are for. */
#include "sidecar/config.h"

#include "tests/tap.h"

static bool load(const char *variable, struct config *ret_config, struct config_report *ret_report)
{
    char *environment[] = {(char *)(uintptr_t) "HOLDFAST_STORE=file:///var/store",
                           (char *)(uintptr_t)variable, NULL};

    return config_load(environment, CONFIG_WITH_STORE, ret_config, ret_report);
}

/* One fault each; what a fault is about is not always shown. */
static void expect_refused(const char *variable, const char *name, const char *remedy)
{
    struct config config;
    struct config_report report;

    EXPECT(!load(variable, &config, &report));
    EXPECT_INT(report.faults, 1);
    if (!EXPECT(strstr(report.lines[0], name) && strstr(report.lines[0], remedy)))
        printf("#   %s\n", report.lines[0]);
    config_clear(&config);
}

static void expect_taken(const char *variable)
{
    struct config config;
    struct config_report report;

    if (!EXPECT(load(variable, &config, &report)))
        printf("#   %s\n", report.lines[0]);
    config_clear(&config);
}

TEST(what_could_never_match_is_refused)
{
    expect_refused("HOLDFAST_SITE_PREFIX=/a?b", "SITE_PREFIX", "/http");
    expect_refused("HOLDFAST_SITE_PREFIX=/http/", "SITE_PREFIX", "/http");
    expect_refused("HOLDFAST_DRAIN_ALLOW=api/*", "DRAIN_ALLOW", "/api/actions/*");
    expect_refused("HOLDFAST_DRAIN_ALLOW=/a::/b", "DRAIN_ALLOW", "/api/actions/*");
    expect_refused("HOLDFAST_DRAIN_ALLOW=[", "DRAIN_ALLOW", "/api/actions/*");
    expect_taken("HOLDFAST_SITE_PREFIX=/a/b");
    expect_taken("HOLDFAST_DRAIN_ALLOW=/a:*/b:[/]c");
}

TEST(values_among_the_names_for_the_child_are_refused_and_not_repeated)
{
    struct config config;
    struct config_report report;

    expect_refused("HOLDFAST_CHILD_ENV=TOKEN=hush", "CHILD_ENV", "without their values");
    EXPECT(!load("HOLDFAST_CHILD_ENV=TOKEN=hush", &config, &report));
    EXPECT(!strstr(report.lines[0], "hush"));
    config_clear(&config);
    expect_taken("HOLDFAST_CHILD_ENV=A, B:C_1");
}

/* Better than to promise what isn't kept. */
TEST(sync_is_refused)
{
    expect_refused("HOLDFAST_DURABILITY=sync", "DURABILITY", "write async");
    expect_taken("HOLDFAST_DURABILITY=async");
}

TEST(an_unknown_word_is_answered_with_those_that_are_known)
{
    expect_refused("HOLDFAST_SYNC_DEGRADE=wait", "SYNC_DEGRADE=wait", "write block or fail");
    expect_refused("HOLDFAST_LOG_LEVEL=warn", "LOG_LEVEL=warn", "write error, warning, info or debug");
    expect_refused("HOLDFAST_ADOPT=me", "ADOPT=me", "write local, remote or nothing");
}

TAP_MAIN()
