/* The one table of variables. A row is all there is to a variable: where its value goes, what it looks like,
 * what it means. Its order is the order of README.md. */
#include "sidecar/config_table.h"

#include <string.h>

#define FIELD(name) .field = offsetof(struct config, name)

const struct config_variable config_variables[] = {
    {"STORE", KIND_TEXT, FIELD(store_url),
     .help = "where the data is kept: `s3://BUCKET/PREFIX`, `r2://ACCOUNT/BUCKET/PREFIX` or `file:///DIR`. "
             "Required"},
    {"S3_ENDPOINT", KIND_TEXT, FIELD(store.endpoint),
     .fallbacks = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"},
     .help = "`http(s)://HOST[:PORT][/BASE]` of a server other than AWS"},
    {"S3_REGION", KIND_TEXT, FIELD(store.region), .fallbacks = {"AWS_REGION", "AWS_DEFAULT_REGION"},
     .help = "region that requests are signed for; `auto` for R2 and other servers, `us-east-1` for AWS if "
             "not given"},
    {"S3_ACCESS_KEY_ID", KIND_SECRET, FIELD(store.access_key_id), .fallbacks = {"AWS_ACCESS_KEY_ID"},
     .help = "credentials; the three are taken together, either all ours or all of AWS_*"},
    {"S3_SECRET_ACCESS_KEY", KIND_SECRET, FIELD(store.secret_access_key),
     .fallbacks = {"AWS_SECRET_ACCESS_KEY"},
     .help = "credentials. Each also as `…_FILE`, read again when the store says that it expired"},
    {"S3_SESSION_TOKEN", KIND_SECRET, FIELD(store.session_token), .fallbacks = {"AWS_SESSION_TOKEN"},
     .help = "credentials, if they are temporary"},
    {"S3_PATH_STYLE", KIND_SWITCH, FIELD(store.path_style), "1",
     .help = "`0`: `https://BUCKET.HOST/KEY` instead of `https://HOST/BUCKET/KEY`, where that can work"},
    {"S3_CA_FILE", KIND_PATH, FIELD(store.ca_file), .fallbacks = {"AWS_CA_BUNDLE"},
     .help = "certificates to trust instead of the system's"},
    {"DATA_DIR", KIND_PATH, FIELD(data_directory), "/convex/data", .help = "the directory that is protected"},
    {"EXCLUDE", KIND_GLOBS, FIELD(exclude), "tmp",
     .help = "what is left out: colon-separated globs, relative to the data directory; a pattern without a "
             "slash matches at any depth, "
             "a directory excludes what is below, a database its `-wal`, `-shm` and `-journal`"},
    {"DATABASES", KIND_GLOBS, FIELD(databases), "*",
     .help = "which files may be treated as SQLite databases; others travel as plain files"},
    {"LISTEN", KIND_ADDRESS, FIELD(listen), "0.0.0.0:3210",
     .help = "front port; `[::]:3210` and `:3210` serve both IP families"},
    {"UPSTREAM", KIND_ADDRESS, FIELD(upstream), "127.0.0.1:13210", .help = "where the backend listens"},
    {"SITE_LISTEN", KIND_ADDRESS, FIELD(site_listen), .help = "second front port, towards the same backend"},
    {"SITE_PREFIX", KIND_TEXT, FIELD(site_prefix), "/http",
     .help = "what is put before the path of requests to the second port"},
    {"ADMIN_LISTEN", KIND_ADDRESS, FIELD(admin_listen), "127.0.0.1:9321",
     .help = "`/metrics`, `/status` and a status page"},
    {"HEALTH_PATH", KIND_TEXT, FIELD(health_path), "/version",
     .help = "asked every 50 ms from the launch on until the backend answers with a status below 500"},
    {"DURABILITY", KIND_CHOICE, FIELD(durability), "async", "async|sync",
     .help = "`async`; `sync`, under which a response leaves only when every change before it is in the "
             "store, comes with a later release"},
    {"SYNC_DEGRADE", KIND_CHOICE, FIELD(sync_degrade), "block", "block|fail",
     .help = "`sync` with the store out of reach: hold responses, or answer 503 (no effect in this release)"},
    {"SYNC_TIMEOUT", KIND_DURATION, FIELD(sync_timeout_ms), "10s",
     .help = "`sync`: readiness turns 503 when a response waited so long (no effect in this release)"},
    {"SYNC_INTERVAL", KIND_DURATION, FIELD(sync_interval_ms), "1s", .least = 10,
     .help = "how often changes are shipped"},
    {"SNAPSHOT_INTERVAL", KIND_DURATION, FIELD(snapshot_interval_ms), "24h", .least = 1000,
     .help = "at most this long between bases"},
    {"RESTORE_BUDGET", KIND_DURATION, FIELD(restore_budget_ms), "10s",
     .help = "a new base is cut when a restore would take longer than this"},
    {"RETENTION", KIND_DURATION, FIELD(retention_ms), "7d", .help = "how far back `--at` can go"},
    {"DRILL_INTERVAL", KIND_DURATION, FIELD(drill_interval_ms), "0",
     .help = "how often a restore is rehearsed while serving (as `verify --deep` does, below `.holdfast/` of "
             "the data "
             "directory; it reads everything in the store); `0`: never"},
    {"RESTORE_AT", KIND_POINT, FIELD(restore_at),
     .help = "roll the data directory back to that point at the next start, once for each value: a record's "
             "number or a time, as `restore --at` takes them. What came after it stays restorable"},
    {"SPOOL_MAX", KIND_SIZE, FIELD(spool_max_bytes), "1GiB",
     .help = "changes that wait for the store on disk (at most 10 % of the free space)"},
    {"START_TIMEOUT", KIND_DURATION, FIELD(start_timeout_ms), "60s",
     .help = "how long passing faults of the store are retried at start"},
    {"HOLD_TIMEOUT", KIND_DURATION, FIELD(hold_timeout_ms), "15s",
     .help = "how long a request waits for readiness"},
    {"SHUTDOWN_TIMEOUT", KIND_DURATION, FIELD(shutdown_timeout_ms), "25s", .least = 100,
     .help = "requests in flight (at most 20 %), the child (at most 40 %), shipping (everything left)"},
    {"TAKEOVER_WAIT", KIND_DURATION, FIELD(takeover_wait_ms), "30s",
     .help = "at most this long for a predecessor that is shutting down"},
    {"DUEL_WAIT", KIND_DURATION, FIELD(duel_wait_ms), "8s",
     .help = "longest wait when containers take over from each other in a loop; `0`: none"},
    {"PREDECESSOR", KIND_CHOICE, FIELD(predecessor), "", "|alive|gone",
     .help = "a platform's hint: `alive` (wait for it) or `gone` (don't)"},
    {"DRAIN_ALLOW", KIND_TEXT, FIELD(drain_allow), "",
     .help = "colon-separated globs of paths that still pass while draining, e.g. `/api/actions/*`"},
    {"ADOPT", KIND_CHOICE, FIELD(adopt), "", "|local|remote",
     .help = "`local` or `remote`: what wins where a start is refused because both hold data"},
    {"STOP_SIGNAL", KIND_SIGNAL, FIELD(stop_signal), "TERM",
     .help = "sent to the child to stop it (`INT` for Convex)"},
    {"CHILD_ENV", KIND_TEXT, FIELD(child_env), "",
     .help = "names of variables that reach the child although they would be removed"},
    {"CONVEX_BINARY", KIND_PATH, FIELD(convex_binary), "/convex/convex-local-backend",
     .help = "where the Convex shim finds the real binary (docs/IMAGE.md)"},
    {"TRUST_FORWARDED", KIND_SWITCH, FIELD(trust_forwarded), "0",
     .help = "`1` behind a proxy of one's own: append to `X-Forwarded-For`, keep `-Proto` and `-Host`"},
    {"UNSAFE_NO_FENCING", KIND_SWITCH, FIELD(unsafe_no_fencing), "0",
     .help = "`1`: run on a store without conditional writes"},
    {"LOG_FORMAT", KIND_CHOICE, FIELD(log_format), "text", "text|json",
     .help = "`text` or `json`, on standard error"},
    {"LOG_LEVEL", KIND_CHOICE, FIELD(log_level), "info", "error|warning|info|debug",
     .help = "`error`, `warning`, `info` or `debug`"},
    {"ENCRYPTION_KEY", KIND_LATER, 0, .help = "encrypt what is stored"},
    {"ENCRYPTION_KEY_FILE", KIND_LATER, 0, .help = "encrypt what is stored"},
    {"LAUNCH_TIMEOUT", KIND_LATER, 0, .help = "how long the backend may take to answer"},
    {"UPGRADE_ROLLBACK", KIND_LATER, 0, .help = "go back when a new backend fails"},
    {"MAX_REQUESTS_PER_DAY", KIND_LATER, 0, .help = "a ceiling for the store's bill"},
};

const size_t config_variables_count = sizeof(config_variables) / sizeof(config_variables[0]);

const struct config_variable *config_variable_find(const char *name, size_t size)
{
    for (size_t at = 0; at < config_variables_count; at++) {
        const char *known = config_variables[at].name;
        if (strlen(known) == size && strncmp(known, name, size) == 0)
            return &config_variables[at];
    }
    return NULL;
}
