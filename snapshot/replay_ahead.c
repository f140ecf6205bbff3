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

static void ask(struct page_advice *advice, const struct apply_target *target, uint32_t first, uint32_t count)
{
    if (count > 0)
        page_advice_add(advice, target->fd, (uint64_t)(first - 1) * target->page_size,
                        (uint64_t)count * target->page_size);
}

/* Pages that lie one behind the other as one range. */
static void ask_for_run(struct page_advice *advice, struct replay_database *database,
                        const struct data_run *run)
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
            ask(advice, target, first, count);
            count = 0;
        }
        if (count++ == 0)
            first = page;
    }
    ask(advice, target, first, count);
}

/* The next run of a record; false: it has no more. */
static bool next_run(struct data_reader *reader, struct data_run *ret_run)
{
    struct data_section section;
    struct err ignored = {0};
    bool end = false;

    while (data_next(reader, &section, &end, &ignored) && !end && section.kind != DATA_GONE &&
           section.kind != DATA_PUT) { /* files come behind all runs */
        if (section.kind != DATA_RUN)
            continue;
        *ret_run = section.run;
        return true;
    }
    return false;
}

/* The database whose file the run will be applied to, as it looks now; NULL: none. */
static struct replay_database *database_of(struct replay *replay, const struct data_run *run)
{
    struct replay_database *database = replay_live_database(replay, run->path);

    return database && database->target.fd >= 0 && database->target.page_size == run->page_size ? database
                                                                                                : NULL;
}

void replay_expect(struct replay *replay, const struct record *record)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = NULL;
    struct data_run run;

    if (!record || record->header.kind != RECORD_DATA || !replay->config.place ||
        record->header.position <= replay->expected)
        return;
    replay->expected = record->header.position;
    reader = data_reader_new(record->body, record->body_size);
    while (next_run(reader, &run)) {
        struct replay_database *database = database_of(replay, &run);
        if (!database)
            continue;
        if (!database->asked)
            begin(database);
        ask_for_run(replay->advice, database, &run);
    }
    page_advice_send(replay->advice);
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

/* True: the run is through, or there was none yet. */
static bool want_run(struct replay *replay, struct replay_ahead *ahead)
{
    const struct replay_database *database =
        ahead->at < ahead->run.count ? database_of(replay, &ahead->run) : NULL;

    for (; database && ahead->at < ahead->run.count; ahead->at++)
        if (!apply_want(replay->apply, &database->target, data_run_page(&ahead->run, ahead->at)))
            return false;
    return true;
}

/* False: nothing is left to be read. */
static bool read_batch(struct replay *replay, struct replay_ahead *ahead)
{
    while (want_run(replay, ahead)) {
        ahead->at = 0;
        if (!next_run(ahead->reader, &ahead->run)) {
            replay_end_ahead(ahead);
            break;
        }
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
