#include "tests/double/story_internal.h"

#include <string.h>

enum { PAGES_MAX = 40, RUN_PAGES = 7 };

static const uint32_t page_sizes[] = {512, 1024, 4096, 65536};

static void add_run(struct story *story, int index, const struct story_database *before,
                    const struct story_database *after, const uint32_t *pages, uint32_t count, bool is_last,
                    struct story_bulk *bulk, struct buf *body)
{
    CLEANUP(buf_clearp) struct buf images = BUF_INIT(DELTA_BYTES_MAX);
    CLEANUP(buf_clearp) struct buf previous = BUF_INIT(DELTA_BYTES_MAX);
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
    struct data_run run = {.path = story_database_path(index),
                           .incarnation = after->incarnation,
                           .page_size = after->page_size,
                           .pages_after = after->pages,
                           .is_last = is_last,
                           .rolling_hash = story_hash(after),
                           .count = count,
                           .pages = pages};
    struct err err = {0};

    for (uint32_t at = 0; at < count; at++) {
        size_t offset = (size_t)(pages[at] - 1) * after->page_size;
        buf_add(&images, after->bytes + offset, after->page_size);
        if (pages[at] <= before->pages)
            buf_add(&previous, before->bytes + offset, after->page_size);
    }
    story_must(delta_encode(story->codec, images.bytes, images.size,
                            (struct codec_prefix){previous.bytes, previous.size}, &frame, &err),
               &err);
    run.frame = frame.bytes;
    run.frame_size = frame.size;
    if (bulk) {
        run.frame = NULL;
        run.bulk_section = 0;
        run.bulk_offset = (uint32_t)bulk->object.size;
        run.bulk_size = (uint32_t)frame.size;
        buf_add(&bulk->object, frame.bytes, frame.size);
        bulk->frames++;
    }
    data_add_run(body, &run);
}

/* One commit, in runs of a few pages. */
static void add_commit(struct story *story, int index, const struct story_database *before,
                       const bool *changed, struct story_bulk *bulk, struct buf *body)
{
    const struct story_database *after = &story->now.databases[index];
    uint32_t pages[RUN_PAGES], count = 0, left = 0;

    for (uint32_t page = 1; page <= after->pages; page++)
        left += changed[page] || page > before->pages;
    for (uint32_t page = 1; page <= after->pages; page++) {
        if (!changed[page] && page <= before->pages)
            continue;
        pages[count++] = page;
        left--;
        if (count < RUN_PAGES && left > 0)
            continue;
        add_run(story, index, before, after, pages, count, left == 0, bulk, body);
        count = 0;
    }
}

/* A random commit to a database that is there. */
static void commit(struct story *story, int index, struct story_bulk *bulk, struct buf *body)
{
    struct story_database *now = &story->now.databases[index], before = *now;
    bool changed[PAGES_MAX + 1] = {false};

    before.bytes = story_copy(now->bytes, story_database_bytes(now));
    now->pages = 1 + (uint32_t)story_random(story, 4) * 3 + (now->pages > 3 ? now->pages - 3 : now->pages);
    if (now->pages > PAGES_MAX || story_random(story, 9) == 0)
        now->pages = 1 + (uint32_t)story_random(story, 5);
    now->bytes = xrealloc(now->bytes, story_database_bytes(now) + 1);
    for (uint32_t page = 1; page <= now->pages; page++) {
        uint8_t *bytes = now->bytes + (size_t)(page - 1) * now->page_size;
        changed[page] = page == 1 || page > before.pages || story_random(story, 4) == 0;
        if (page > before.pages)
            memset(bytes, (int)story_random(story, 3), now->page_size);
        if (changed[page])
            story_random_bytes(story, bytes + story_random(story, now->page_size - 64), 64);
    }
    add_commit(story, index, &before, changed, bulk, body);
    free(before.bytes);
}

void story_change_database(struct story *story, int index, struct story_bulk *bulk, struct buf *body)
{
    struct story_database *now = &story->now.databases[index];
    bool is_new = now->incarnation == 0 || story_random(story, 12) == 0;

    if (now->incarnation != 0 && story_random(story, 15) == 0) {
        data_add_database_gone(body, story_database_path(index), now->incarnation);
        free(now->bytes);
        *now = (struct story_database){0};
        return;
    }
    if (is_new) {
        free(now->bytes);
        *now = (struct story_database){.incarnation = history_head(&story->history) + 1,
                                       .page_size = page_sizes[story_random(story, 4)],
                                       .bytes = story_copy(NULL, 0)};
    }
    for (uint64_t left = 1 + story_random(story, 3); left > 0; left--)
        commit(story, index, bulk, body);
}

struct data_run story_run_of(const struct story *story, const char *path, const struct buf *frame)
{
    static const uint32_t pages[] = {1};
    const struct story_database *database = &story->now.databases[0];

    return (struct data_run){.path = path,
                             .incarnation = database->incarnation,
                             .page_size = database->page_size,
                             .pages_after = database->pages,
                             .is_last = true,
                             .rolling_hash = 1,
                             .count = 1,
                             .pages = pages,
                             .frame = frame->bytes,
                             .frame_size = frame->size};
}
