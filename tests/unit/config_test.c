#include "base/fs.h"
#include "sidecar/config.h"
#include "sidecar/config_table.h"
#include "snapshot/engine.h"

#include "tests/tap.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>

/* Everything that is needed and nothing more. */
#define ENOUGH "HOLDFAST_STORE=file:///var/store"
/* The environment is char *, though nobody writes to it. */
static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* True if some line of the report holds all of a, b. */
static bool reported(const struct config_report *report, const char *a, const char *b)
{
    for (size_t at = 0; at < config_report_lines(report); at++)
        if (strstr(report->lines[at], a) && strstr(report->lines[at], b))
            return true;
    for (size_t at = 0; at < config_report_lines(report); at++)
        printf("#   line: %s\n", report->lines[at]);
    return false;
}

static bool load(const char *const *variables, struct config *ret_config, struct config_report *ret_report)
{
    char *environment[32] = {NULL};

    for (size_t at = 0; variables[at]; at++)
        environment[at] = text_of(variables[at]);
    return config_load(environment, CONFIG_WITH_STORE, ret_config, ret_report);
}

#define LOAD(...) load((const char *const[]){__VA_ARGS__, NULL}, &config, &report)

TEST(a_store_is_enough_and_the_rest_has_the_defaults_of_the_contract)
{
    struct config config;
    struct config_report report;

    REQUIRE(LOAD(ENOUGH));
    EXPECT_INT(report.warnings, 0);
    EXPECT_STR(config.data_directory, "/convex/data");
    EXPECT_STR(config.exclude, "tmp");
    EXPECT_STR(config.databases, "*");
    EXPECT_INT(ntohs(config.listen.v4.sin_port), 3210);
    EXPECT_INT(ntohs(config.upstream.v4.sin_port), 13210);
    EXPECT_INT(ntohs(config.admin_listen.v4.sin_port), 9321);
    EXPECT_INT(config.site_listen.size, 0);
    EXPECT_STR(config.site_prefix, "/http");
    EXPECT_STR(config.health_path, "/version");
    EXPECT_INT(config.durability, DURABILITY_ASYNC);
    EXPECT_INT(config.sync_interval_ms, 1000);
    EXPECT_INT(config.snapshot_interval_ms, 24 * 3600 * 1000);
    EXPECT_INT(config.retention_ms, 7 * 24 * 3600 * 1000);
    EXPECT_INT(config.spool_max_bytes, 1 << 30);
    EXPECT_INT(config.start_timeout_ms, 60000);
    EXPECT_INT(config.hold_timeout_ms, 15000);
    EXPECT_INT(config.shutdown_timeout_ms, 25000);
    EXPECT_INT(config.takeover_wait_ms, 30000);
    EXPECT_INT(config.duel_wait_ms, 8000);
    EXPECT_INT(config.adopt, ADOPT_REFUSE);
    EXPECT_INT(config.predecessor, PREDECESSOR_UNKNOWN);
    EXPECT_INT(config.stop_signal, SIGTERM);
    EXPECT_INT(config.log_level, LOG_INFO);
    EXPECT_INT(config.log_format, LOG_TEXT);
    EXPECT_INT(config.store.kind, STORE_DIRECTORY);
    config_clear(&config);
}

TEST(what_is_set_wins)
{
    struct config config;
    struct config_report report;

    REQUIRE(LOAD(ENOUGH, "HOLDFAST_ADOPT=remote", "HOLDFAST_PREDECESSOR=gone", "HOLDFAST_LOG_LEVEL=debug",
                 "HOLDFAST_LOG_FORMAT=json", "HOLDFAST_STOP_SIGNAL=INT", "HOLDFAST_SYNC_INTERVAL=200ms",
                 "HOLDFAST_TRUST_FORWARDED=1", "HOLDFAST_DATA_DIR=/srv/data"));
    EXPECT_INT(config.adopt, ADOPT_REMOTE);
    EXPECT_INT(config.predecessor, PREDECESSOR_GONE);
    EXPECT_INT(config.log_level, LOG_DEBUG);
    EXPECT_INT(config.log_format, LOG_JSON);
    EXPECT_INT(config.stop_signal, SIGINT);
    EXPECT_INT(config.sync_interval_ms, 200);
    EXPECT(config.trust_forwarded);
    EXPECT_STR(config.data_directory, "/srv/data");
    config_clear(&config);
}

TEST(an_empty_value_is_no_value_except_for_lists_of_globs)
{
    struct config config;
    struct config_report report;

    REQUIRE(LOAD(ENOUGH, "HOLDFAST_SYNC_INTERVAL=", "HOLDFAST_SITE_LISTEN=", "HOLDFAST_EXCLUDE="));
    EXPECT_INT(config.sync_interval_ms, 1000);
    EXPECT_INT(config.site_listen.size, 0);
    EXPECT_STR(config.exclude, "");
    config_clear(&config);
}

TEST(without_a_store_only_commands_that_need_none_start)
{
    char *environment[] = {NULL};
    struct config config;
    struct config_report report;

    EXPECT(!config_load(environment, CONFIG_WITH_STORE, &config, &report));
    EXPECT(reported(&report, "HOLDFAST_STORE is not set", "s3://BUCKET/PREFIX"));
    EXPECT(config_load(environment, CONFIG_WITHOUT_STORE, &config, &report));
    EXPECT_INT(config_report_lines(&report), 0);
}

TEST(every_fault_is_told_at_once)
{
    struct config config;
    struct config_report report;

    EXPECT(!LOAD("HOLDFAST_STORE=ftp://x", "HOLDFAST_SYNC_INTERVAL=1x", "HOLDFAST_LISTEN=localhost:80",
                 "HOLDFAST_DURABILITY=maybe", "HOLDFAST_STOP_SIGNAL=KILL", "HOLDFAST_SPOOL_MAX=64MB",
                 "HOLDFAST_UNSAFE_NO_FENCING=yes", "HOLDFAST_DATA_DIR=data"));
    EXPECT_INT(report.faults, 8);
    EXPECT(reported(&report, "HOLDFAST_STORE", "s3://"));
    EXPECT(reported(&report, "HOLDFAST_SYNC_INTERVAL=1x", "200ms"));
    EXPECT(reported(&report, "HOLDFAST_LISTEN=localhost:80", "0.0.0.0:3210"));
    EXPECT(reported(&report, "HOLDFAST_DURABILITY=maybe", "sync"));
    EXPECT(reported(&report, "HOLDFAST_STOP_SIGNAL=KILL", "TERM"));
    EXPECT(reported(&report, "HOLDFAST_SPOOL_MAX=64MB", "64MiB"));
    EXPECT(reported(&report, "HOLDFAST_UNSAFE_NO_FENCING=yes", "0 or 1"));
    EXPECT(reported(&report, "HOLDFAST_DATA_DIR=data", "absolute"));
    config_clear(&config);
    EXPECT(!LOAD(ENOUGH, "HOLDFAST_SNAPSHOT_INTERVAL=200ms"));
    EXPECT(reported(&report, "HOLDFAST_SNAPSHOT_INTERVAL=200ms", "1000ms or more"));
    config_clear(&config);
}

TEST(ten_lines_are_enough)
{
    struct config config;
    struct config_report report;

    EXPECT(!LOAD("HOLDFAST_SYNC_INTERVAL=x", "HOLDFAST_SYNC_TIMEOUT=x", "HOLDFAST_SNAPSHOT_INTERVAL=x",
                 "HOLDFAST_RESTORE_BUDGET=x", "HOLDFAST_RETENTION=x", "HOLDFAST_SPOOL_MAX=x",
                 "HOLDFAST_START_TIMEOUT=x", "HOLDFAST_HOLD_TIMEOUT=x", "HOLDFAST_SHUTDOWN_TIMEOUT=x",
                 "HOLDFAST_TAKEOVER_WAIT=x", "HOLDFAST_DUEL_WAIT=x", "HOLDFAST_NONSENSE=1"));
    EXPECT_INT(report.faults, 12);
    EXPECT_INT(config_report_lines(&report), 10);
    EXPECT_STR(report.lines[9], "and 4 more like these");
    config_clear(&config);
}

TEST(an_unknown_name_is_a_warning_that_names_the_nearest)
{
    struct config config;
    struct config_report report;

    EXPECT(LOAD(ENOUGH, "HOLDFAST_RETENTIO=1d", "HOLDFAST_WHATEVER_ELSE=1", "HOLDFASTING=1", "HOLDFAST_=1"));
    EXPECT_INT(report.warnings, 3);
    EXPECT(reported(&report, "HOLDFAST_RETENTIO ", "HOLDFAST_RETENTION?"));
    EXPECT(reported(&report, "HOLDFAST_WHATEVER_ELSE", "help environment"));
    config_clear(&config);
}

TEST(drills_are_off_and_never_without_end)
{
    struct config config;
    struct config_report report;

    EXPECT(LOAD(ENOUGH, "HOLDFAST_DRILL_INTERVAL="));
    EXPECT_INT(config.drill_interval_ms, 0);
    config_clear(&config);
    EXPECT(LOAD(ENOUGH, "HOLDFAST_DRILL_INTERVAL=24h"));
    EXPECT_INT(config.drill_interval_ms, 24 * 3600 * 1000);
    config_clear(&config);
    EXPECT(!LOAD(ENOUGH, "HOLDFAST_DRILL_INTERVAL=999ms"));
    EXPECT(reported(&report, "HOLDFAST_DRILL_INTERVAL", "24h"));
    config_clear(&config);
}

TEST(what_a_later_release_brings_is_refused_and_not_ignored)
{
    struct config config;
    struct config_report report;

    EXPECT(!LOAD(ENOUGH, "HOLDFAST_ENCRYPTION_KEY=hush", "HOLDFAST_UPGRADE_ROLLBACK=1",
                 "HOLDFAST_LAUNCH_TIMEOUT="));
    EXPECT_INT(report.faults, 2);
    EXPECT(reported(&report, "HOLDFAST_ENCRYPTION_KEY", "not supported by this release"));
    EXPECT(reported(&report, "HOLDFAST_UPGRADE_ROLLBACK", "not supported by this release"));
    EXPECT(!strstr(report.lines[0], "hush") && !strstr(report.lines[1], "hush"));
    config_clear(&config);
}

TEST(a_point_to_roll_back_to_is_a_record_or_a_time)
{
    struct config config;
    struct config_report report;

    EXPECT(LOAD(ENOUGH, "HOLDFAST_RESTORE_AT="));
    EXPECT_INT(config.restore_at.kind, POINT_NONE);
    config_clear(&config);
    EXPECT(LOAD(ENOUGH, "HOLDFAST_RESTORE_AT=42"));
    EXPECT(config.restore_at.kind == POINT_RECORD && config.restore_at.value == 42);
    config_clear(&config);
    EXPECT(LOAD(ENOUGH, "HOLDFAST_RESTORE_AT=1970-01-01T00:00:02.5Z"));
    EXPECT(config.restore_at.kind == POINT_TIME && config.restore_at.value == UINT64_C(2500000000));
    config_clear(&config);
    EXPECT(!LOAD(ENOUGH, "HOLDFAST_RESTORE_AT=yesterday"));
    EXPECT(reported(&report, "HOLDFAST_RESTORE_AT=yesterday", "2026-11-21T10:00:00Z"));
    config_clear(&config);
}

TEST(credentials_of_other_tools_are_taken_as_a_whole)
{
    struct config config;
    struct config_report report;

    REQUIRE(LOAD("HOLDFAST_STORE=s3://bucket/prefix", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b",
                 "AWS_SESSION_TOKEN=c", "AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL=http://localhost:9000"));
    EXPECT_STR(config.store.access_key_id.value, "a");
    EXPECT_STR(config.store.secret_access_key.value, "b");
    EXPECT_STR(config.store.session_token.value, "c");
    EXPECT_STR(config.store.region, "eu-west-1");
    EXPECT_STR(config.store.endpoint, "http://localhost:9000");
    EXPECT(config.used_aws_credentials);
    config_clear(&config);
}

TEST(credentials_are_used_only_by_a_store_that_needs_them)
{
    struct config config;
    struct config_report report;

    REQUIRE(LOAD(ENOUGH, "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"));
    EXPECT(!config.used_aws_credentials);
    config_clear(&config);
}

TEST(our_own_credentials_are_never_mixed_with_those_of_other_tools)
{
    struct config config;
    struct config_report report;

    REQUIRE(LOAD("HOLDFAST_STORE=s3://bucket/prefix", "HOLDFAST_S3_ACCESS_KEY_ID=a",
                 "HOLDFAST_S3_SECRET_ACCESS_KEY=b", "AWS_SESSION_TOKEN=c", "AWS_ACCESS_KEY_ID=d"));
    EXPECT_STR(config.store.access_key_id.value, "a");
    EXPECT(!config.store.session_token.value);
    EXPECT(!config.used_aws_credentials);
    config_clear(&config);
    EXPECT(
        !LOAD("HOLDFAST_STORE=s3://bucket/prefix", "HOLDFAST_S3_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"));
    EXPECT(reported(&report, "HOLDFAST_S3_SECRET_ACCESS_KEY is not set", "together"));
    config_clear(&config);
    EXPECT(!LOAD("HOLDFAST_STORE=s3://bucket/prefix"));
    EXPECT(reported(&report, "HOLDFAST_S3_ACCESS_KEY_ID", "instance metadata"));
    config_clear(&config);
}

TEST(a_secret_may_be_in_a_file_that_can_be_read)
{
    struct config config;
    struct config_report report;

    REQUIRE(LOAD("HOLDFAST_STORE=s3://bucket/prefix", "HOLDFAST_S3_ACCESS_KEY_ID_FILE=/proc/self/status",
                 "HOLDFAST_S3_SECRET_ACCESS_KEY=b"));
    EXPECT_STR(config.store.access_key_id.file, "/proc/self/status");
    EXPECT(!config.store.access_key_id.value);
    EXPECT_INT(report.warnings, 0);
    config_clear(&config);
    EXPECT(!LOAD("HOLDFAST_STORE=s3://bucket/prefix", "HOLDFAST_S3_ACCESS_KEY_ID_FILE=/nowhere/key",
                 "HOLDFAST_S3_SECRET_ACCESS_KEY=b"));
    EXPECT(reported(&report, "HOLDFAST_S3_ACCESS_KEY_ID_FILE", "/nowhere/key"));
    config_clear(&config);
    EXPECT(!LOAD("HOLDFAST_STORE=s3://bucket/prefix", "HOLDFAST_S3_ACCESS_KEY_ID_FILE=/proc/self/status",
                 "HOLDFAST_S3_ACCESS_KEY_ID=hush", "HOLDFAST_S3_SECRET_ACCESS_KEY=b"));
    EXPECT(reported(&report, "HOLDFAST_S3_ACCESS_KEY_ID and its _FILE", "keep one"));
    config_clear(&config);
}

TEST(two_listeners_can_not_share_a_port)
{
    struct config config;
    struct config_report report;

    EXPECT(!LOAD(ENOUGH, "HOLDFAST_UPSTREAM=127.0.0.1:3210"));
    EXPECT(reported(&report, "HOLDFAST_LISTEN and HOLDFAST_UPSTREAM", "same port"));
    config_clear(&config);
    EXPECT(!LOAD(ENOUGH, "HOLDFAST_ADMIN_LISTEN=:3210"));
    EXPECT(reported(&report, "HOLDFAST_LISTEN and HOLDFAST_ADMIN_LISTEN", "same port"));
    config_clear(&config);
    EXPECT(LOAD(ENOUGH, "HOLDFAST_LISTEN=127.0.0.1:3210", "HOLDFAST_UPSTREAM=127.0.0.2:3210",
                "HOLDFAST_ADMIN_LISTEN=127.0.0.3:3210"));
    config_clear(&config);
    EXPECT(LOAD(ENOUGH, "HOLDFAST_UPSTREAM=10.0.0.7:3210")); /* another machine's port */
    config_clear(&config);
}

TEST(the_store_can_not_lie_in_what_it_protects)
{
    struct config config;
    struct config_report report;

    EXPECT(!LOAD("HOLDFAST_STORE=file:///srv/data/store", "HOLDFAST_DATA_DIR=/srv/data/"));
    EXPECT(reported(&report, "HOLDFAST_DATA_DIR", "outside"));
    config_clear(&config);
    EXPECT(!LOAD("HOLDFAST_STORE=file:///srv", "HOLDFAST_DATA_DIR=/srv/data"));
    config_clear(&config);
    EXPECT(LOAD("HOLDFAST_STORE=file:///srv/data-store", "HOLDFAST_DATA_DIR=/srv/data"));
    config_clear(&config);
    EXPECT(!LOAD(ENOUGH, "HOLDFAST_DATA_DIR=/"));
    EXPECT(reported(&report, "HOLDFAST_DATA_DIR", "root"));
    config_clear(&config);
}

TEST(paths_of_requests_can_not_carry_more_than_a_path)
{
    struct config config;
    struct config_report report;

    EXPECT(!LOAD(ENOUGH, "HOLDFAST_HEALTH_PATH=version", "HOLDFAST_SITE_PREFIX=/a b"));
    EXPECT_INT(report.faults, 2);
    config_clear(&config);
    EXPECT(!LOAD(ENOUGH, "HOLDFAST_HEALTH_PATH=/version\r\nX: y"));
    config_clear(&config);
}

TEST(names_for_the_child_are_found_whole)
{
    struct config config = {.child_env = "AWS_ACCESS_KEY_ID, HOLDFAST_DATA_DIR:X"};

    EXPECT(config_child_may_see(&config, "AWS_ACCESS_KEY_ID", 17));
    EXPECT(config_child_may_see(&config, "HOLDFAST_DATA_DIR", 17));
    EXPECT(config_child_may_see(&config, "X", 1));
    EXPECT(!config_child_may_see(&config, "AWS_ACCESS_KEY", 14));
    EXPECT(!config_child_may_see(&config, "DATA_DIR", 8));
    EXPECT(!config_child_may_see(&config, "", 0));
    config.child_env = "";
    EXPECT(!config_child_may_see(&config, "X", 1));
}

TEST(every_variable_is_described_in_one_row)
{
    CLEANUP(buf_clearp) struct buf table = BUF_INIT(65536), help = BUF_INIT(65536);

    config_describe_markdown(&table);
    config_describe(&help);
    for (size_t at = 0; at < config_variables_count; at++) {
        const struct config_variable *variable = &config_variables[at];
        char row[80];
        (void)snprintf(row, sizeof(row), "| `HOLDFAST_%s` |", variable->name);
        EXPECT(variable->help && !strchr(variable->help, '\n') && !strchr(variable->help, '|'));
        EXPECT(!strstr(buf_text(&table), row) == (variable->kind == KIND_LATER));
        (void)snprintf(row, sizeof(row), "  HOLDFAST_%s", variable->name);
        EXPECT(!strstr(buf_text(&help), row) == (variable->kind == KIND_LATER));
    }
    EXPECT(strstr(buf_text(&table), "| `HOLDFAST_SYNC_INTERVAL` | `1s` |"));
}

/* `make` and prove(1) run the tests in the project's root. */
TEST(the_table_of_the_readme_is_the_table_of_the_program)
{
    CLEANUP(buf_clearp) struct buf table = BUF_INIT(65536), readme = BUF_INIT(1 << 20);
    struct err err = {0};

    config_describe_markdown(&table);
    REQUIRE_OK(fs_read_file(AT_FDCWD, "README.md", &readme, &err), &err);
    if (!EXPECT(strstr(buf_text(&readme), buf_text(&table))))
        printf("#   `./holdfast help --markdown` prints the table for README.md\n");
}

TAP_MAIN()
