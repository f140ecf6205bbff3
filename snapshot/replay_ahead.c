/* Reading ahead for a record.
 *
 * A commit is applied to the images that its pages have before it, and a large database was written past the
 * page cache (place_write.c): each page that a record is the first to change has to come from the disk. Asked
 * for one after the other, where they are needed, they cost a restore a round trip each; so all that a record
 * needs are asked for before its first commit is applied, and the disk has them under way side by side. Each
 * page is asked for once: whatever was read or written since is in the cache, or the machine is too small for
 * it.
 *
 * Nothing depends on it: what is not read ahead is read when it is needed, and what is wrong is said then. */
#include "snapshot/replay_internal.h"

#include <fcntl.h>

enum { BITS_MAX = 8 << 20 }; /* 32 GiB of pages of 4 KiB; those of a larger database share them */

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

void replay_read_ahead(struct replay *replay, const struct record *record)
{
    CLEANUP(data_reader_freep)
    struct data_reader *reader = data_reader_new(record->body, record->body_size);
    struct data_section section;
    struct err ignored = {0};
    bool end = false;

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
