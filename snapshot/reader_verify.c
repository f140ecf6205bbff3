/* Verification reads every object back that a restorable point needs, and proves it as a restore would,
 * without writing.
 *
 * One damaged object must not hide the next, so the work goes on and the sum is told at the end. Blobs that
 * several bases name are read once. */
#include "snapshot/reader_internal.h"

#include "snapshot/blob_names.h"
#include "snapshot/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct verification {
    struct store *store;
    struct id lineage;
    struct reader_damage damage;
    const struct reader_progress *progress;
    const atomic_bool *canceled;
    struct reader_result result;
    struct blob_names proved; /* read already, good or bad */
    size_t damages;
};

static void report(void *context, const char *key, const char *reason)
{
    struct verification *verification = context;

    verification->damages++;
    verification->damage.report(verification->damage.context, key, reason);
}

/* An error that says something about an object is a finding; any other ends the work. */
static bool is_finding(struct verification *verification, const char *key, const struct err *why)
{
    if (why->code != ERR_CORRUPT && why->code != ERR_NOT_FOUND)
        return false;
    report(verification, key, why->text);
    return true;
}

static bool all_proved(const struct verification *verification, struct tree *tree,
                       const struct tree_entry *entry)
{
    const struct tree_piece *pieces = tree_pieces(tree, entry);

    for (uint32_t piece = 0; piece < entry->extra; piece++) {
        struct blob_name name = {pieces[piece].tag, pieces[piece].content};
        if (name.tag != 0 && !blob_names_has(&verification->proved, &name))
            return false;
    }
    return true;
}

static bool verify_content(struct verification *verification, const struct manifest *manifest,
                           struct err *err)
{
    size_t count = tree_count(manifest->tree);
    CLEANUP(freep) bool *known = xcalloc(count, sizeof(known[0]));
    struct restore_kept kept = {.entries = known};
    struct restore_damage damage = {report, verification};
    CLEANUP(restore_freep) struct restore *restore = NULL;
    struct blob_names names;

    for (size_t at = 0; at < count; at++) {
        const struct tree_entry *entry = tree_at(manifest->tree, at);
        known[at] = entry->content == CONTENT_PIECES && all_proved(verification, manifest->tree, entry);
    }
    if (!restore_open(verification->store, manifest, &kept, &damage, verification->canceled, &restore, err) ||
        !restore_release(restore, NULL, err) ||
        !reader_run(restore, verification->progress, verification->result.bytes, 0, err))
        return false;
    names = blob_names_of(manifest->tree);
    blob_names_merge(&verification->proved, &names);
    verification->result.objects += restore_objects(restore);
    verification->result.bytes += manifest_state_bytes(manifest);
    return true;
}

static bool verify_base(void *context, const struct reader_base *base, struct err *err)
{
    struct verification *verification = context;
    struct manifest manifest;
    struct err why = {0};
    bool verified;

    if (!reader_load_manifest(verification->store, base, &manifest, &why)) {
        if (is_finding(verification, base->body.key.text, &why))
            return true;
        *err = why;
        return false;
    }
    verification->result.objects++;
    if (verification->result.record == base->header.position) {
        verification->result.databases = manifest.databases_count;
        verification->result.files = tree_count(manifest.tree);
    }
    verified = verify_content(verification, &manifest, err);
    manifest_clear(&manifest);
    return verified;
}

struct chain {
    struct verification *verification;
    uint64_t next;          /* the position of the record visited before, which is the newer one */
    struct digest previous; /* what that one says of the record before it */
};

static bool verify_record(void *context, const struct store_entry *entry, struct err *err)
{
    struct chain *chain = context;
    struct verification *verification = chain->verification;
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;
    uint64_t position = 0;
    struct err why = {0};

    if (!key_parse_log(entry->key, &position)) {
        report(verification, entry->key, "it is not a record of holdfast");
        return true;
    }
    if (!log_read(verification->store, &verification->lineage, position, &bytes, &record, &why)) {
        chain->next = 0;
        /* Packed or pruned since it was listed. */
        if (why.code == ERR_NOT_FOUND || is_finding(verification, entry->key, &why))
            return true;
        *err = why;
        return false;
    }
    verification->result.objects++;
    if (chain->next == position + 1 && memcmp(chain->previous.bytes, record.hash.bytes, HASH_SIZE) != 0)
        report(verification, entry->key,
               "the record after it names another hash: two histories are mixed under one prefix");
    chain->next = position;
    chain->previous = record.header.previous;
    return true;
}

static bool verify_once(struct verification *verification, struct err *err)
{
    struct chain chain = {.verification = verification};
    struct reader_head head;
    struct err why = {0};

    if (!reader_find_head(verification->store, &head, err))
        return false;
    verification->lineage = head.lineage;
    verification->result.record = head.header.base.announced;
    verification->result.time_ns = head.header.time_ns;
    if (!store_list(verification->store, "log/", NULL, 0, verify_record, &chain, err))
        return false;
    if (!reader_walk(verification->store, &head, verify_base, verification, &why)) {
        if (is_finding(verification, "log/", &why))
            return true;
        *err = why;
        return false;
    }
    return true;
}

static void stay_silent(void *context, const char *key, const char *reason)
{
    (void)context;
    (void)key;
    (void)reason;
}

static bool run(struct store *store, const struct reader_damage *damage,
                const struct reader_progress *progress, const atomic_bool *canceled,
                struct verification *verification, struct err *err)
{
    bool verified;

    *verification =
        (struct verification){.store = store, .damage = *damage, .progress = progress, .canceled = canceled};
    verified = verify_once(verification, err);
    blob_names_clear(&verification->proved);
    return verified;
}

bool reader_verify(struct store *store, const struct reader_damage *damage,
                   const struct reader_progress *progress, const atomic_bool *canceled,
                   struct reader_result *ret_result, struct err *err)
{
    static const struct reader_damage silent = {stay_silent, NULL};
    struct verification verification;

    /* What fails once may have been pruned under our hands; what a plan made after that needs and doesn't get
     * is damaged. */
    if (!run(store, &silent, progress, canceled, &verification, err))
        return false;
    if (verification.damages > 0 && !run(store, damage, progress, canceled, &verification, err))
        return false;
    *ret_result = verification.result;
    if (verification.damages > 0)
        return err_set(err, ERR_CORRUPT, "%zu objects of HOLDFAST_STORE are damaged or missing",
                       verification.damages);
    return true;
}
