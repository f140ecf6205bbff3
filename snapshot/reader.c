/* Readers that don't take over.
 *
 * An owner proves what it read by its own open; a reader has nothing like that, and the owner may prune under
 * its hands. So a plan (one listing, one head, one base) is only believed when it still holds at the end: the
 * newest base record's horizon must not have passed the base that was used. An object that is missing or
 * damaged is reported only if a plan that was listed after the failure still needs it, and it fails again
 * (protocol.md: H7, P6, P7, P8). */
#include "snapshot/reader.h"

#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/blob_names.h"
#include "snapshot/identity.h"
#include "snapshot/log.h"
#include "snapshot/manifest.h"
#include "snapshot/reader_internal.h"
#include "snapshot/restore.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { PLANS_MAX = 5, REPORT_EVERY_MS = 100 };

static bool visit_newest(void *context, const struct store_entry *entry, struct err *err)
{
    uint64_t *newest = context;

    if (!key_parse_log(entry->key, newest))
        return err_set(err, ERR_CORRUPT, "%s is not a record of holdfast", entry->key);
    return true;
}

/* What is listed as the newest may be pruned before it is read, once there is a newer one. */
static bool read_newest(struct store *store, struct reader_head *head, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;

    for (int listing = 1;; listing++) {
        uint64_t newest = 0;
        if (!store_list(store, "log/", NULL, 1, visit_newest, &newest, err))
            return false;
        if (newest == 0)
            return err_set(err, ERR_CONFIG,
                           "HOLDFAST_STORE holds no record yet; nothing was ever shipped to it");
        if (log_read(store, &head->lineage, newest, &bytes, &record, err))
            break;
        if (err->code != ERR_NOT_FOUND || listing == PLANS_MAX)
            return false;
    }
    head->header = record.header;
    head->hash = record.hash;
    return true;
}

bool reader_find_head(struct store *store, struct reader_head *ret_head, struct err *err)
{
    struct reader_head head = {0};

    if (!identity_read(store, &head.lineage, err)) {
        if (err->code == ERR_NOT_FOUND)
            return err_set(err, ERR_CONFIG,
                           "HOLDFAST_STORE holds nothing of holdfast; correct the bucket or the prefix");
        return false;
    }
    if (!read_newest(store, &head, err))
        return false;
    *ret_head = head;
    return true;
}

bool reader_read_base(struct store *store, const struct id *lineage, uint64_t position,
                      struct reader_base *ret_base, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;
    struct reader_base base = {0};

    if (!log_read(store, lineage, position, &bytes, &record, err))
        return false;
    if (record.header.kind != RECORD_BASE)
        return err_set(err, ERR_CORRUPT, "record %" PRIu64 " is named as a base and is none", position);
    base.header = record.header;
    if (!record_base_body(&record, &base.body, err))
        return false;
    *ret_base = base;
    return true;
}

void reader_base_clear(struct reader_base *base)
{
    base_body_clear(&base->body);
}

/* A base record that is absent: pruned since the walk began, or missing. */
static bool explain_absence(struct store *store, uint64_t position, struct err *err)
{
    struct key key = key_log(position);
    struct reader_head now;

    if (!reader_find_head(store, &now, err))
        return false;
    return now.header.horizon > position || err_set(err, ERR_CORRUPT, "%s: it is missing", key.text);
}

bool reader_walk(struct store *store, const struct reader_head *head,
                 bool (*visit)(void *context, const struct reader_base *base, struct err *err), void *context,
                 struct err *err)
{
    uint64_t position = head->header.base.announced;

    while (position != 0 && position >= head->header.horizon) {
        struct reader_base base;
        struct err why = {0};
        bool goes_on;
        if (!reader_read_base(store, &head->lineage, position, &base, &why)) {
            if (why.code == ERR_NOT_FOUND)
                return explain_absence(store, position, err);
            *err = why;
            return false;
        }
        position = base.body.previous_base;
        goes_on = visit(context, &base, &why);
        reader_base_clear(&base);
        if (goes_on)
            continue;
        if (why.code != ERR_NONE)
            *err = why;
        return why.code == ERR_NONE;
    }
    return true;
}

struct listing {
    bool (*visit)(void *context, const struct reader_point *point);
    void *context;
};

static bool list_point(void *context, const struct reader_base *base, struct err *err)
{
    struct listing *listing = context;
    struct reader_point point = {.record = base->header.position,
                                 .time_ns = base->header.time_ns,
                                 .kind = base->header.kind,
                                 .bytes = base->body.state_bytes};

    (void)err;
    return listing->visit(listing->context, &point);
}

bool reader_list(struct store *store, bool (*visit)(void *context, const struct reader_point *point),
                 void *context, struct err *err)
{
    struct listing listing = {visit, context};
    struct reader_head head;

    return (reader_find_head(store, &head, err) && reader_walk(store, &head, list_point, &listing, err)) ||
           err_wrap(err, "list the points that can be restored");
}

bool reader_load_manifest(struct store *store, const struct reader_base *base, struct manifest *ret_manifest,
                          struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(MANIFEST_SIZE_MAX);
    const char *key = base->body.key.text;
    struct manifest manifest;

    if (!store_get(store, key, &bytes, err))
        return err_wrap(err, "%s", key);
    if (bytes.size < HASH_SIZE ||
        memcmp(bytes.bytes + bytes.size - HASH_SIZE, base->body.manifest.bytes, HASH_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "%s: it is not the manifest that the log announced", key);
    if (!manifest_decode(bytes.bytes, bytes.size, &manifest, err))
        return err_wrap(err, "%s", key);
    if (!id_equal(&manifest.lineage, &base->header.lineage) || manifest.position != base->body.position) {
        manifest_clear(&manifest);
        return err_set(err, ERR_CORRUPT, "%s: it belongs to another lineage or position", key);
    }
    *ret_manifest = manifest;
    return true;
}

struct search {
    uint64_t at;
    struct reader_base found;
    bool has_found;
};

static bool stop_at(void *context, const struct reader_base *base, struct err *err)
{
    struct search *search = context;

    (void)err;
    if (base->header.position > search->at)
        return true;
    search->found = *base;
    /* Only what names the manifest is needed; the lists stay with the walk. */
    search->found.body.dropped = NULL;
    search->found.body.dropped_count = 0;
    search->found.body.pins = NULL;
    search->found.body.pins_count = 0;
    search->has_found = true;
    return false;
}

/* The base that holds the state at a record. */
static bool find_base(struct store *store, const struct reader_head *head, uint64_t at,
                      struct reader_base *ret_base, struct err *err)
{
    struct search search = {.at = at == READER_LATEST ? UINT64_MAX : at};

    if (at != READER_LATEST && at > head->header.position)
        return err_set(err, ERR_CONFIG, "record %" PRIu64 " does not exist; the newest is %" PRIu64, at,
                       head->header.position);
    if (!reader_walk(store, head, stop_at, &search, err))
        return false;
    if (!search.has_found && at != READER_LATEST)
        return err_set(err, ERR_CONFIG,
                       "record %" PRIu64
                       " can't be restored: it was pruned, or lies before the first base; `holdfast list` "
                       "shows what can",
                       at);
    if (!search.has_found)
        return err_set(err, ERR_CONFIG,
                       "nothing can be restored yet: no base was announced in HOLDFAST_STORE");
    *ret_base = search.found;
    return true;
}

bool reader_run(struct restore *restore, const struct reader_progress *progress, uint64_t done_before,
                uint64_t total, struct err *err)
{
    uint64_t done = 0, own_total = 0;

    while (!restore_wait_for(restore, REPORT_EVERY_MS)) {
        restore_progress(restore, &done, &own_total);
        if (progress)
            progress->report(progress->context, done_before + done, total ? total : own_total);
    }
    restore_progress(restore, &done, &own_total);
    if (progress)
        progress->report(progress->context, done_before + done, total ? total : own_total);
    return restore_wait(restore, err);
}

static bool open_target(const char *directory, int *ret_fd, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    bool empty = false;

    if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
        (void)err_errno(err, "--to %s can't be created", directory);
        err->code = ERR_CONFIG;
        return false;
    }
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_CONFIG, "--to %s is not a directory", directory);
    if (!place_is_empty(fd, "", &empty, err))
        return false;
    if (!empty)
        return err_set(err, ERR_CONFIG,
                       "--to %s is not empty; name a directory that is empty or does not exist", directory);
    *ret_fd = MOVE_FD(fd);
    return true;
}

/* What is to be copied, and where to. */
struct copy {
    struct store *store;
    int directory_fd;
    uint64_t at;
    const struct reader_progress *progress;
    const atomic_bool *canceled;
};

static bool write_copy(const struct copy *copy, const struct manifest *manifest, struct reader_result *result,
                       struct err *err)
{
    CLEANUP(place_freep) struct place *place = NULL;
    CLEANUP(restore_freep) struct restore *restore = NULL;
    CLEANUP(freep) const char **databases = xcalloc(manifest->databases_count, sizeof(databases[0]));
    size_t set_aside = 0;

    for (size_t at = 0; at < manifest->databases_count; at++)
        databases[at] = manifest->databases[at].path;
    if (!place_begin(copy->directory_fd, NULL, "", &place, err) ||
        !restore_open(copy->store, manifest, NULL, NULL, copy->canceled, &restore, err) ||
        !restore_release(restore, place, err) || !reader_run(restore, copy->progress, 0, 0, err) ||
        !place_finish(place, manifest->tree, databases, manifest->databases_count, &set_aside, err) ||
        !fs_remove_tree(copy->directory_fd, ".holdfast", err)) /* a copy is nobody's data directory yet */
        return false;
    result->databases = manifest->databases_count;
    result->files = tree_count(manifest->tree);
    result->bytes = manifest_state_bytes(manifest);
    result->objects = restore_objects(restore);
    return true;
}

/* One plan, carried out and looked at again. *ret_holds false: the owner pruned it meanwhile. */
static bool restore_once(const struct copy *copy, struct reader_result *result, bool *ret_holds,
                         struct err *err)
{
    struct reader_head head, after;
    struct reader_base base;
    struct manifest manifest;
    bool restored;

    if (!reader_find_head(copy->store, &head, err) || !find_base(copy->store, &head, copy->at, &base, err) ||
        !reader_load_manifest(copy->store, &base, &manifest, err))
        return false;
    restored = write_copy(copy, &manifest, result, err);
    manifest_clear(&manifest);
    result->record = base.header.position;
    result->time_ns = base.header.time_ns;
    if (!restored || !reader_find_head(copy->store, &after, err))
        return false;
    *ret_holds = after.header.horizon <= base.header.position;
    return true;
}

/* What a failed attempt wrote is nobody's state. */
static void empty_again(int directory_fd)
{
    struct place *place = NULL;
    struct err ignored = {0};

    if (place_begin(directory_fd, NULL, "", &place, &ignored))
        place_free(place);
}

bool reader_restore(struct store *store, const char *directory, uint64_t at,
                    const struct reader_progress *progress, const atomic_bool *canceled,
                    struct reader_result *ret_result, struct err *err)
{
    CLEANUP(close_fdp) int directory_fd = -1;
    struct copy copy = {.store = store, .at = at, .progress = progress, .canceled = canceled};
    struct err before = {0};

    if (!open_target(directory, &directory_fd, err))
        return false;
    copy.directory_fd = directory_fd;
    for (int plan = 0; plan < PLANS_MAX; plan++) {
        struct reader_result result = {0};
        struct err why = {0};
        bool holds = false;
        if (restore_once(&copy, &result, &holds, &why) && holds) {
            *ret_result = result;
            return true;
        }
        empty_again(directory_fd);
        if (why.code == ERR_NOT_FOUND)
            why.code = ERR_CORRUPT;
        /* A fault counts when a later plan meets the same one. */
        if (why.code != ERR_NONE && (why.code != ERR_CORRUPT || strcmp(why.text, before.text) == 0)) {
            *err = why;
            return err_wrap(err, "restore to %s", directory);
        }
        before = why;
    }
    return err_set(
        err, ERR_TRANSIENT,
        "the owner prunes faster than this can be restored; try again, or raise HOLDFAST_RETENTION");
}
