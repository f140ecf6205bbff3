/* A blob with tag t is named for the first time by a record at t or above, and whoever names it later could
 * do so only because the tree before named it (docs/DESIGN.md). So the records above the lowest tag say of
 * every blob of the range whether it is needed at any point, or was dropped, which is for pruning to carry
 * out.
 *
 * Reading them all would cost a request for each. So the listing comes first, and what the newest tree names
 * is taken out of it: usually nothing is left, and no record is read at all. */
#include "snapshot/blob_sweep.h"

#include "snapshot/log.h"
#include "snapshot/reader.h"
#include "snapshot/reader_internal.h"
#include "snapshot/record_refs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { PAGE = 1000, RECORDS = 32 };

void blob_sweep_clear(struct blob_sweep *sweep)
{
    blob_names_clear(&sweep->found);
    archive_clear(&sweep->archive);
    *sweep = (struct blob_sweep){0};
}

void blob_sweep_begin(struct blob_sweep *sweep, uint64_t low, uint64_t high)
{
    blob_sweep_clear(sweep);
    sweep->begun = true;
    sweep->low = low;
    sweep->high = high;
    sweep->last_page = low >= high;
}

/* Takes what a listing has shown into the set. */
static void take_page(struct blob_sweep *sweep, const struct key_list *page)
{
    sweep->last_page = page->count < PAGE;
    for (size_t at = 0; at < page->count; at++) {
        struct blob_name name;
        if (!key_parse_blob(page->keys[at].text, &name.tag, &name.content))
            continue;
        if (name.tag <= sweep->high)
            blob_names_add(&sweep->found, &name);
        else
            sweep->last_page = true;
    }
    if (page->count > 0)
        sweep->resume = page->keys[page->count - 1];
}

static void take_out_tree(struct blob_sweep *sweep, struct tree *tree)
{
    struct blob_names named = blob_names_of(tree);

    blob_names_subtract(&sweep->found, &named);
    blob_names_clear(&named);
}

static bool list_page(struct blob_sweep *sweep, const struct blob_sweep_log *log, struct err *err)
{
    CLEANUP(key_list_clear) struct key_list page = {0};
    struct key after = sweep->resume;

    if (!after.text[0]) /* the bare tag sorts before what has it */
        (void)snprintf(after.text, sizeof(after.text), "blob/%016" PRIx64, sweep->low + 1);
    if (!store_list(log->removal->store, "blob/", after.text, PAGE, key_list_collect, &page, err))
        return false;
    take_page(sweep, &page);
    if (log->tree && sweep->found.count > 0)
        take_out_tree(sweep, log->tree);
    sweep->next = sweep->low + 1;
    return true;
}

/* The whole tree of a base that does not follow from the records before it. */
static bool take_out_manifest(struct blob_sweep *sweep, const struct blob_sweep_log *log,
                              const struct record *record, struct err *err)
{
    struct reader_base base = {.header = record->header};
    struct manifest manifest;
    bool read;

    if (!record_base_body(record, &base.body, err))
        return false;
    if (!(base.body.flags & BASE_RESTARTS)) {
        reader_base_clear(&base);
        return true;
    }
    read = reader_load_manifest(log->removal->store, &base, &manifest, err);
    reader_base_clear(&base);
    if (!read)
        return false;
    take_out_tree(sweep, manifest.tree);
    manifest_clear(&manifest);
    return true;
}

/* Takes out of the set what a record names or has dropped. */
static bool take_out(struct blob_sweep *sweep, const struct blob_sweep_log *log, uint64_t position,
                     struct err *err)
{
    struct record record;
    struct record_refs refs;

    if (!sweep->archive.store)
        sweep->archive = archive_of(log->removal->store, &log->lineage);
    if (!archive_read(&sweep->archive, position, &record, err) || !record_refs_read(&record, &refs, err))
        return false;
    blob_names_subtract(&sweep->found, &refs.named);
    blob_names_subtract(&sweep->found, &refs.dropped);
    record_refs_clear(&refs);
    return record.header.kind != RECORD_BASE || take_out_manifest(sweep, log, &record, err);
}

/* Where something is missing nothing is garbage for certain, so all of the page stays. */
static bool read_records(struct blob_sweep *sweep, const struct blob_sweep_log *log, struct err *err)
{
    for (int read = 0; read < RECORDS && sweep->next <= log->newest && sweep->found.count > 0; read++) {
        struct err why = {0};
        if (removal_is_stopped(log->removal, err))
            return false;
        if (take_out(sweep, log, sweep->next, &why)) {
            sweep->next++;
            continue;
        }
        if (why.code != ERR_NOT_FOUND && why.code != ERR_CORRUPT) {
            *err = why;
            return false;
        }
        blob_names_clear(&sweep->found);
    }
    return true;
}

static bool delete_some(struct blob_sweep *sweep, const struct blob_sweep_log *log, struct err *err)
{
    CLEANUP(key_list_clear) struct key_list list = {0};

    for (size_t at = sweep->found.count; at > 0 && list.count < REMOVAL_PAGE; at--)
        key_list_add(&list, key_blob(sweep->found.list[at - 1].tag, &sweep->found.list[at - 1].content).text);
    if (!removal_run(log->removal, &list, err))
        return false;
    sweep->found.count -= list.count;
    return true;
}

static bool step(struct blob_sweep *sweep, const struct blob_sweep_log *log, struct err *err)
{
    if (sweep->next == 0)
        return sweep->low >= sweep->high || list_page(sweep, log, err);
    if (sweep->next <= log->newest)
        return read_records(sweep, log, err);
    return delete_some(sweep, log, err);
}

bool blob_sweep_step(struct blob_sweep *sweep, const struct blob_sweep_log *log, bool *ret_done,
                     struct err *err)
{
    assert(sweep->begun);
    if (!step(sweep, log, err))
        return err_wrap(err, "blobs");
    *ret_done = sweep->found.count == 0 && sweep->last_page;
    if (*ret_done)
        blob_sweep_clear(sweep);
    else if (sweep->found.count == 0)
        sweep->next = 0;
    return true;
}
