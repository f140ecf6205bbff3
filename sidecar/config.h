/* The configuration: HOLDFAST_* variables, read once, checked whole, immutable afterwards.
 *
 * One table (config_table.c) says name, kind, default, choices and meaning of every variable; reading, the
 * report of faults, `holdfast help` and the table in README.md all come from it. Nothing else in the program
 * looks at the environment. */
#ifndef SIDECAR_CONFIG_H
#define SIDECAR_CONFIG_H

#include "base/buf.h"
#include "base/log.h"
#include "proxy/address.h"
#include "sidecar/config_value.h"
#include "snapshot/point.h"
#include "snapshot/store/config.h"

enum durability { DURABILITY_ASYNC, DURABILITY_SYNC };
enum sync_degrade { SYNC_DEGRADE_BLOCK, SYNC_DEGRADE_FAIL };

/* Strings point into the environment that was given to config_load(), which has to outlive it. NULL: not set.
 */
struct config {
    struct store_config store;
    const char *store_url;
    const char *data_directory;
    const char *exclude;
    const char *databases;
    struct address listen;
    struct address upstream;
    struct address site_listen;
    const char *site_prefix;
    struct address admin_listen;
    const char *health_path;
    unsigned durability;   /* enum durability */
    unsigned sync_degrade; /* enum sync_degrade */
    uint64_t sync_timeout_ms;
    uint64_t sync_interval_ms;
    uint64_t snapshot_interval_ms;
    uint64_t restore_budget_ms;
    uint64_t retention_ms;
    uint64_t drill_interval_ms; /* 0: none */
    struct point restore_at;
    uint64_t spool_max_bytes;
    uint64_t start_timeout_ms;
    uint64_t hold_timeout_ms;
    uint64_t shutdown_timeout_ms;
    uint64_t takeover_wait_ms;
    uint64_t duel_wait_ms;
    unsigned predecessor; /* enum engine_predecessor */
    const char *drain_allow;
    unsigned adopt; /* enum engine_adopt */
    int stop_signal;
    const char *child_env;
    const char *convex_binary;
    bool trust_forwarded;
    bool unsafe_no_fencing;
    unsigned log_format;       /* enum log_format */
    unsigned log_level;        /* enum log_level */
    bool used_aws_credentials; /* the store's credentials are those of the AWS_* names */
};

enum { CONFIG_LINES_MAX = 10 };

/* What was wrong, one sentence for each fault; at most CONFIG_LINES_MAX lines, the last of which counts the
 * rest. */
struct config_report {
    char lines[CONFIG_LINES_MAX][400];
    size_t faults;   /* any: refuse to go on */
    size_t warnings; /* their lines come after those of the faults */
};

/* Whether a command can do without HOLDFAST_STORE. */
enum config_scope { CONFIG_WITH_STORE, CONFIG_WITHOUT_STORE };

/* Reads the environment (`NAME=value`, NULL-terminated). *ret_config is filled as far as it could be
 * understood, also when there are faults, so that the report can be logged in the format that was asked for;
 * config_clear() frees it. True without faults. */
bool config_load(char *const *environment, enum config_scope scope, struct config *ret_config,
                 struct config_report *ret_report) CHECKED;
void config_clear(struct config *config);

/* How many lines of the report are filled. */
size_t config_report_lines(const struct config_report *report);

/* The names that reach the child although they would be scrubbed: true if `name` is in HOLDFAST_CHILD_ENV. */
bool config_child_may_see(const struct config *config, const char *name, size_t name_size);

/* The variables for a person at a terminal, and as the table of README.md. */
void config_describe(struct buf *text);
void config_describe_markdown(struct buf *text);

#endif
