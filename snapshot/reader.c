#include "snapshot/reader.h"

#include "snapshot/archive.h"
#include "snapshot/identity.h"
#include "snapshot/log.h"
#include "snapshot/reader_internal.h"

#include <inttypes.h>
#include <string.h>

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
        if (err->code != ERR_NOT_FOUND)
            return false;
        if (listing == READER_PLANS_MAX)
            return err_set(err, ERR_CORRUPT, "%s: it is listed, and can't be found", key_log(newest).text);
    }
    head->header = record.header;
    head->hash = record.hash;
    return true;
}

bool reader_looks_again(struct err *before, const struct err *why)
{
    bool again = why->code == ERR_CORRUPT && strcmp(why->text, before->text) != 0;

    *before = *why;
    return again;
}

static bool find_head(struct store *store, struct reader_head *ret_head, struct err *err)
{
    struct reader_head head = {0};

    if (!identity_read(store, &head.lineage, err)) {
        if (err->code == ERR_NOT_FOUND)
            return err_set(err, ERR_CONFIG, "HOLDFAST_STORE holds nothing of holdfast; " STORE_REMEDY);
        return false;
    }
    if (!read_newest(store, &head, err))
        return false;
    *ret_head = head;
    return true;
}

bool reader_find_head(struct store *store, struct reader_head *ret_head, struct err *err)
{
    struct err before = {0};

    for (int look = 1;; look++) {
        struct err why = {0};
        if (find_head(store, ret_head, &why))
            return true;
        if (!reader_looks_again(&before, &why) || look == READER_PLANS_MAX) {
            *err = why;
            return false;
        }
    }
}

static bool read_base(struct store *store, const struct id *lineage, uint64_t position,
                      struct reader_base *ret_base, struct err *err)
{
    CLEANUP(archive_clear) struct archive archive = archive_of(store, lineage);
    struct record record;
    struct reader_base base = {0};

    if (!archive_read_base(&archive, position, &record, &base.body, err))
        return false;
    base.header = record.header;
    base.hash = record.hash;
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

/* The base before one whose record can't be read: any record names it, and so does the next one below that
 * can be read. *ret_before 0: there is none from the horizon on. */
static bool find_base_before(struct store *store, const struct reader_head *head, uint64_t position,
                             uint64_t *ret_before, struct err *err)
{
    CLEANUP(archive_clear) struct archive archive = archive_of(store, &head->lineage);
    struct record record = {.header.base.announced = 0};
    bool found = false;

    while (!found && position > head->header.horizon) {
        struct err why = {0};
        found = archive_read(&archive, position - 1, &record, &why);
        position = archive.lost_first;
        if (found || why.code == ERR_CORRUPT || why.code == ERR_NOT_FOUND)
            continue;
        *err = why;
        return false;
    }
    *ret_before = found ? record.header.base.announced : 0;
    return true;
}

/* The base at *position can't be read: *position moves on to the one before. 0: neither it nor those before
 * it are there any more, or nothing says where. *damage takes the first of these faults. */
static bool step_over(struct store *store, const struct reader_head *head, uint64_t *position,
                      const struct err *unread, struct err *damage, struct err *err)
{
    struct err why = *unread;
    bool is_pruned = why.code == ERR_NOT_FOUND && explain_absence(store, *position, &why);

    if (is_pruned) {
        *position = 0;
        return true;
    }
    if (why.code != ERR_CORRUPT) {
        *err = why;
        return false;
    }
    if (damage->code == ERR_NONE)
        *damage = why;
    return find_base_before(store, head, *position, position, err);
}

bool reader_walk(struct store *store, const struct reader_head *head,
                 bool (*visit)(void *context, const struct reader_base *base, struct err *err), void *context,
                 struct err *err)
{
    uint64_t position = head->header.base.announced;
    struct err damage = {0};

    while (position != 0 && position >= head->header.horizon) {
        struct reader_base base;
        struct err why = {0};
        bool goes_on;
        if (!read_base(store, &head->lineage, position, &base, &why)) {
            if (!step_over(store, head, &position, &why, &damage, err))
                return false;
            continue;
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
    if (damage.code != ERR_NONE)
        *err = damage;
    return damage.code == ERR_NONE;
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
