/* Databases that come and go while records go on.
 *
 * One that appears, takes another's place, or could not be followed for a moment begins a new incarnation:
 * all of its pages are one commit that nothing comes before, and its later commits follow behind. It is
 * frozen for the reading of that image alone. The others go on, and need not be frozen with it: the record
 * ends at a moment of all databases as ever, which comes after the image, and what was committed in between
 * is collected like everybody else's.
 *
 * A moment that was remembered before the image lay in the outbox counts the database's commits without
 * having them. So all of those are forgotten: what waits goes into one record, with the image.
 *
 * `previous` lists the new incarnation before it is shipped, without pages; nothing but a record or a base
 * that holds it comes after that. Where most bytes are new a base costs no more, and saves the next restore
 * the old ones. */
#include "snapshot/shipper_internal.h"

#include "base/clock.h"
#include "snapshot/difference.h"
#include "snapshot/wal_index.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FREEZE_MS = 2000,
    MODE_BITS = 07777,
    MODE_UNKNOWN = UINT16_MAX, /* unlike any */
};

/* fstatat opens nothing, so no lock is dropped. A file that is gone has none: it is let go of soon. */
static struct stat status_of(const struct shipper *shipper, const char *path)
{
    struct stat status;

    if (fstatat(shipper->directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        status = (struct stat){0};
    return status;
}

/* The file, or what it becomes when its log is in it: one of the two may still be small. */
static uint64_t bytes_of(const struct shipper *shipper, const struct base_database *source)
{
    struct wal_index_header header = {0};
    uint64_t ignored, bytes = (uint64_t)status_of(shipper, source->path).st_size, logged = 0;

    if (database_position_at(source->database, &header, &ignored))
        logged = (uint64_t)header.pages * header.page_size;
    return logged > bytes ? logged : bytes;
}

static size_t list_new(struct shipper *shipper, struct base_database ret_new[static DATABASE_FREEZE_MAX])
{
    size_t count = 0, new_count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);

    for (size_t at = 0; at < count; at++)
        if (!outbox_follows(shipper->outbox, databases[at].database))
            ret_new[new_count++] = databases[at];
    return new_count;
}

bool shipper_moves_databases(struct shipper *shipper)
{
    struct base_database new[DATABASE_FREEZE_MAX];

    return list_new(shipper, new) > 0 || !shipper_same_databases(shipper);
}

bool shipper_can_move_databases(struct shipper *shipper)
{
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);
    uint64_t known = 0, new = 0;

    for (size_t at = 0; at < count; at++)
        *(outbox_follows(shipper->outbox, databases[at].database) ? &known : &new) +=
            bytes_of(shipper, &databases[at]);
    return new <= known;
}

/* --- incarnations ------------------------------------------------------------------------------------ */

static bool is_taken(const struct shipper *shipper, const char *path, uint64_t incarnation)
{
    const struct manifest_database *known = manifest_find_database(&shipper->previous, path);

    return (known && known->incarnation == incarnation) ||
           departed_has(shipper->departed, shipper->departed_count, path, incarnation);
}

/* An incarnation is the number of a record that is not before its first run and not behind it, so a path
 * can't have two of them before a record was shipped. */
static bool begin_incarnations(struct shipper *shipper, struct base_database *new, size_t count,
                               struct err *err)
{
    uint64_t incarnation = shipper->log.newest.position + 1;

    for (size_t at = 0; at < count; at++) {
        if (is_taken(shipper, new[at].path, incarnation))
            return err_set(err, ERR_CONFLICT, "%s was replaced twice before it could be shipped",
                           new[at].path);
        new[at].incarnation = incarnation;
        follower_set_incarnation(shipper->follower, new[at].path, incarnation);
    }
    return true;
}

/* --- images ------------------------------------------------------------------------------------------ */

static bool add_image(struct shipper *shipper, const struct base_database *source, struct err *err)
{
    struct manifest_database nothing = {.page_size = database_frozen(source->database)->page_size};
    struct difference all;
    bool added = difference_begin(&all, source, &nothing, -1, err) &&
                 difference_find(&all, shipper->pool, err) && difference_add(&all, shipper->outbox, err);

    if (added)
        outbox_follow(shipper->outbox, source, all.rolling_hash);
    difference_end(&all);
    return added;
}

static bool freeze_and_add(struct shipper *shipper, const struct base_database *new, size_t count,
                           struct err *err)
{
    struct database *databases[DATABASE_FREEZE_MAX];
    bool added = true;

    for (size_t at = 0; at < count; at++)
        databases[at] = new[at].database;
    if (!database_freeze(databases, count, clock_monotonic_ms() + FREEZE_MS, shipper->interrupted, err))
        return err_wrap(err, "freeze the databases that are new");
    for (size_t at = 0; added && at < count; at++)
        added = add_image(shipper, &new[at], err);
    /* Part of it may lie in the outbox. */
    shipper->lost_continuity = !added;
    for (size_t at = 0; at < count; at++)
        database_thaw(databases[at]);
    outbox_rest(shipper->outbox);
    return added;
}

/* --- the list ---------------------------------------------------------------------------------------- */

static void note_departed(struct shipper *shipper, const struct manifest_database *database)
{
    size_t size = (shipper->departed_count + 1) * sizeof(shipper->departed[0]);

    shipper->departed = xrealloc(shipper->departed, size);
    shipper->departed[shipper->departed_count++] =
        (struct departed){xstrdup(database->path), database->incarnation};
}

static void begin_entry(struct shipper *shipper, const struct base_database *source,
                        struct manifest_database *entry)
{
    entry->incarnation = source->incarnation;
    entry->mode = MODE_UNKNOWN;
    page_tables_add(&shipper->tables, source->path, source->incarnation);
}

static void leave_departed(struct shipper *shipper, const struct manifest *before)
{
    for (size_t at = 0; at < before->databases_count; at++) {
        const struct manifest_database *database = &before->databases[at];
        const struct base_database *now = follower_database(shipper->follower, database->path);
        if (!now || now->incarnation != database->incarnation)
            note_departed(shipper, database);
    }
}

static struct manifest_database *find_entry(struct manifest *manifest, const char *path)
{
    const struct manifest_database *found = manifest_find_database(manifest, path);

    return found ? &manifest->databases[found - manifest->databases] : NULL;
}

/* `previous` lists what is attached. */
static void replace_list(struct shipper *shipper)
{
    struct manifest *state = &shipper->previous, before = {0};
    size_t count = 0;
    const struct base_database *databases = follower_databases(shipper->follower, &count);

    leave_departed(shipper, state);
    before.databases = MOVE(state->databases);
    before.databases_count = state->databases_count;
    state->databases_count = 0;
    for (size_t at = 0; at < count; at++) {
        struct manifest_database *entry = manifest_add_database(state, databases[at].path);
        struct manifest_database *known = find_entry(&before, databases[at].path);
        char *path = entry->path;
        if (!known || known->incarnation != databases[at].incarnation) {
            begin_entry(shipper, &databases[at], entry);
            continue;
        }
        *entry = *known;
        entry->path = path;
        known->hashes = NULL; /* moved */
    }
    manifest_clear(&before);
}

bool shipper_move_databases(struct shipper *shipper, struct err *err)
{
    struct base_database new[DATABASE_FREEZE_MAX];
    size_t count;
    bool steady = true;

    if (!shipper_moves_databases(shipper))
        return true;
    if (!follower_refresh(shipper->follower, FOLLOWER_NOW, shipper->previous.tree, NULL, &steady, err) ||
        !follower_is_complete(shipper->follower, &shipper->previous, err))
        return false;
    if (!shipper_can_move_databases(shipper))
        return err_set(err, ERR_CONFLICT, "most of the databases' bytes are new");
    if (shipper->beside.is_given_up)
        shipper_drop_beside(shipper); /* what it has frozen may be new now */
    count = list_new(shipper, new);
    if (!begin_incarnations(shipper, new, count, err))
        return false;
    shipper->databases_move = true;
    if (count > 0 && !freeze_and_add(shipper, new, count, err)) {
        err->code = err->code == ERR_CANCELED ? ERR_CANCELED : ERR_CONFLICT;
        return false;
    }
    replace_list(shipper);
    cuts_clear(&shipper->cuts);
    return true;
}

void shipper_clear_departed(struct shipper *shipper)
{
    for (size_t at = 0; at < shipper->departed_count; at++)
        free(shipper->departed[at].path);
    free(MOVE(shipper->departed));
    shipper->departed_count = 0;
    shipper->databases_move = false;
}

void shipper_end_departed(struct shipper *shipper)
{
    for (size_t at = 0; at < shipper->departed_count; at++)
        page_tables_remove(&shipper->tables, shipper->departed[at].path, shipper->departed[at].incarnation);
    shipper_clear_departed(shipper);
}

/* --- attributes -------------------------------------------------------------------------------------- */

size_t shipper_list_attributes(const struct shipper *shipper,
                               struct data_attributes ret_list[static DATABASE_FREEZE_MAX])
{
    size_t count = 0;

    for (size_t at = 0; at < shipper->previous.databases_count; at++) {
        const struct manifest_database *known = &shipper->previous.databases[at];
        struct stat status = status_of(shipper, known->path);
        struct data_attributes now = {.path = known->path,
                                      .incarnation = known->incarnation,
                                      .mode = status.st_mode & MODE_BITS,
                                      .uid = status.st_uid,
                                      .gid = status.st_gid};
        if (status.st_nlink > 0 &&
            (now.mode != known->mode || now.uid != known->uid || now.gid != known->gid))
            ret_list[count++] = now;
    }
    return count;
}

void shipper_take_attributes(struct shipper *shipper)
{
    const struct shipment *shipment = &shipper->shipment;

    for (size_t at = 0; at < shipment->attributes_count; at++) {
        struct manifest_database *known = find_entry(&shipper->previous, shipment->attributes[at].path);
        assert(known && known->incarnation == shipment->attributes[at].incarnation);
        known->mode = shipment->attributes[at].mode;
        known->uid = shipment->attributes[at].uid;
        known->gid = shipment->attributes[at].gid;
    }
}
