/* Reading ahead for a record.
 *
 * A commit is applied to the images that its pages have before it, and a large database was written past the
 * page cache (place_write.c): each page that a record is the first to change has to come from the disk. Asked
 * for one after the other, where they are needed, they cost a restore a round trip each; so all that a record
 * needs are asked for before its first commit is applied, and the disk has them under way side by side. Each
 * page is asked for once: whatever was read or written since is in the cache, or the machine is too small for
 * it.
 *
 * From the page cache they come on another thread, batch by batch, while the commits before them are applied
 * (hot_pages.h): a second reader goes through the record ahead of the first, and stops where a batch is full.
 *
 * Nothing depends on it: what is not read ahead is read when it is needed, and what is wrong is said then. */
#include "snapshot/replay_internal.h"

#include <assert.h>
#include <fcntl.h>

enum { BITS_MAX = 8 << 20 }; /* 32 GiB of pages of 4 KiB; those of a larger database share them */

/* --- from the disk ----------------------------------------------------------------------------------- */

/* The pages that are there when the first record comes; what is added later is in the cache. */
static void begin(struct replay_database *database)
{
    database->asked_bits = database->target.pages < BITS_MAX ? database->target.pages + 1 : BITS_MAX;
    database->asked = xcalloc(database->asked_bits / 8 + 1, 1);
}

static bool note_page(struct replay_database *database, uint64_t page)
{
    uint64_t at = page % database->asked_bits;
    uint8_t bit = (uint8_t)(1u << at % 8);
    bool is_new = (database->asked[at / 8] & bit) == 0;

    database->asked[at / 8] |= bit;
    return is_new;
}

static void ask(const struct apply_target *target, uint32_t first, uint32_t count)
{
    if (count > 0)
        (void)posix_fadvise(target->fd, (off_t)(first - 1) * target->page_size,
                            (off_t)count * target->page_size, POSIX_FADV_WILLNEED);
}

/* Pages that lie one behind the other in one call. */
static void ask_for_run(struct replay_database *database, const struct data_run *run)
{
    const struct apply_target *target = &database->target;
    uint32_t first = 0, count = 0;

    for (uint32_t at = 0; at < run->count; at++) {
        uint32_t page = data_run_page(run, at);
        if (page > target->pages)
            break;
        if (!note_page(database, page))
            continue;
        if (count > 0 && page != first + count) {
            ask(target, first, count);
            count = 0;
        }
        if (count++ == 0)
            first = page;
    }
    ask(target, first, count);
}

void replay_expect(struct replay *replay, const struct record *record)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = NULL;
    struct data_section section;
    struct err ignored = {0};
    bool end = false;

    if (!record || record->header.kind != RECORD_DATA || !replay->config.place)
        return;
    reader = data_reader_new(record->body, record->body_size);
    while (data_next(reader, &section, &end, &ignored) && !end) {
        struct replay_database *database;
        if (section.kind == DATA_GONE || section.kind == DATA_PUT)
            return; /* files come behind all runs */
        if (section.kind != DATA_RUN)
            continue;
        database = replay_live_database(replay, section.run.path);
        if (!database || database->target.fd < 0 || database->target.page_size != section.run.page_size)
            continue;
        if (!database->asked)
            begin(database);
        ask_for_run(database, &section.run);
    }
}

/* --- from the page cache ----------------------------------------------------------------------------- */

static void begin_batches(struct replay_ahead *ahead, const struct record *record)
{
    replay_end_ahead(ahead);
    ahead->reader = data_reader_new(record->body, record->body_size);
}

void replay_end_ahead(struct replay_ahead *ahead)
{
    data_reader_free(ahead->reader);
    *ahead = (struct replay_ahead){0};
}

/* The next run of the record, if there is one. */
static bool next_run(struct replay_ahead *ahead)
{
    struct data_section section;
    struct err ignored = {0};
    bool end = false;

    while (data_next(ahead->reader, &section, &end, &ignored) && !end && section.kind != DATA_GONE &&
           section.kind != DATA_PUT) {
        if (section.kind != DATA_RUN)
            continue;
        ahead->run = section.run;
        ahead->at = 0;
        return true;
    }
    replay_end_ahead(ahead);
    return false;
}

/* True: the run is through. */
static bool want_run(struct replay *replay, struct replay_ahead *ahead)
{
    const struct replay_database *database = replay_live_database(replay, ahead->run.path);

    if (!database || database->target.fd < 0 || database->target.page_size != ahead->run.page_size)
        return true;
    for (; ahead->at < ahead->run.count; ahead->at++)
        if (!apply_want(replay->apply, &database->target, data_run_page(&ahead->run, ahead->at)))
            return false;
    return true;
}

/* False: nothing is left to be read. */
static bool read_batch(struct replay *replay, struct replay_ahead *ahead)
{
    while (ahead->at < ahead->run.count || next_run(ahead)) {
        if (!want_run(replay, ahead))
            break;
        ahead->at = ahead->run.count;
    }
    return apply_read_wanted(replay->apply);
}

void replay_read_more(struct replay *replay)
{
    while (replay->ahead.reader && apply_can_want(replay->apply) && read_batch(replay, &replay->ahead))
        ;
}

void replay_read_ahead(struct replay *replay, const struct record *record)
{
    assert(record);
    replay_expect(replay, record);
    begin_batches(&replay->ahead, record);
}
