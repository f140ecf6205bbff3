/* Where the store is, as the operator gave it, and the one call that opens it.
 *
 * sidecar/config reads the environment and fills struct store_config; nothing below here looks at the
 * environment (except libcurl, which honours HTTPS_PROXY and NO_PROXY). */
#ifndef SNAPSHOT_STORE_CONFIG_H
#define SNAPSHOT_STORE_CONFIG_H

#include "base/err.h"
#include "snapshot/store/store.h"

enum store_kind { STORE_S3, STORE_DIRECTORY };

/* A secret is given as a value or as a file that holds it (read again when the store says that it expired).
 */
struct store_secret {
    const char *value; /* or NULL */
    const char *file;  /* or NULL */
};

struct store_config {
    enum store_kind kind;
    char *directory;      /* STORE_DIRECTORY: absolute path */
    char *bucket;         /* STORE_S3 */
    char *prefix;         /* without leading or trailing '/'; may be empty */
    const char *endpoint; /* http(s)://host[:port][/base/path]; NULL: R2 of the account, or AWS */
    const char *region;   /* NULL: "auto" for R2 and custom endpoints, "us-east-1" for AWS */
    struct store_secret access_key_id;
    struct store_secret secret_access_key;
    struct store_secret session_token; /* may be absent */
    bool path_style;          /* http://host/bucket/key instead of http://bucket.host/key, if that can work */
    const char *ca_file;      /* NULL: the system's */
    char *account;            /* r2://ACCOUNT/…: picks the endpoint when none is given */
    unsigned stall_timeout_s; /* a request that makes no progress for so long is broken; 0: 15 s */
    bool reads_only;          /* nothing will be written: a directory that isn't there is not made */
};

/* Reads s3://BUCKET/PREFIX, r2://ACCOUNT/BUCKET/PREFIX or file:///DIR into *config (kind, directory, bucket,
 * prefix, account; the caller fills the rest). ERR_CONFIG with one sentence that names HOLDFAST_STORE and
 * shows the right form. */
bool store_config_parse_url(struct store_config *config, const char *url, struct err *err) CHECKED;
/* Frees what the parser allocated; the borrowed pointers stay the caller's. */
void store_config_clear(struct store_config *config);

/* Opens the driver that config asks for; no request is made yet, but everything that can be checked locally
 * is (ERR_CONFIG). config with its strings, *canceled and *observer (NULL: none) must outlive the store. Call
 * before other threads exist (libcurl's, libxml2's and libs3's global initialisation are in here). */
bool store_open(const struct store_config *config, const atomic_bool *canceled,
                const struct store_observer *observer, struct store **ret_store, struct err *err) CHECKED;

/* Decorates a store with the only retry loop: ERR_TRANSIENT is tried again with jittered exponential backoff
 * (100 ms to 5 s; a Retry-After of the store wins) until deadline_ms has passed since the call began.
 * create() is never sent again blindly: after ERR_TRANSIENT or ERR_CONFLICT the decorator reads the key back:
 * our bytes mean success, other bytes ERR_CONFLICT, absent after ERR_TRANSIENT means send the same bytes
 * again, absent after ERR_CONFLICT is ERR_CONFLICT. Borrows inner. */
struct store *store_retry(struct store *inner, uint64_t deadline_ms, const atomic_bool *canceled);
/* From now on no call of this decorator waits for another attempt beyond until_ms of clock_monotonic_ms(),
 * those under way included; UINT64_MAX (as at first): as long as it may. Any thread. */
void store_retry_until(struct store *store, uint64_t until_ms);

#endif
