/* What a record needs is asked of the disk before the first of it is read, and once. */
#include "snapshot/replay.h"

#include "snapshot/data_body.h"
#include "tests/unit/restore_bench.h"

#include <fcntl.h>

enum { PAGE = 4096, PAGES = 50, RUN_MAX = 8 };

/* "3+2 " for pages 3 and 4; "| " for reading, once. */
static char asked[200];
static bool reads;

ssize_t hooked_pread(int fd, void *bytes, size_t size, off_t offset) __asm__("pread64");
int hooked_fadvise(int fd, off_t offset, off_t size, int advice) __asm__("posix_fadvise64");

ssize_t hooked_pread(int fd, void *bytes, size_t size, off_t offset)
{
    size_t used = strlen(asked);

    if (!reads)
        (void)snprintf(asked + used, sizeof(asked) - used, "| ");
    reads = true;
    return syscall(SYS_pread64, fd, bytes, size, offset);
}

int hooked_fadvise(int fd, off_t offset, off_t size, int advice)
{
    size_t used = strlen(asked);

    (void)fd;
    if (advice == POSIX_FADV_WILLNEED)
        (void)snprintf(asked + used, sizeof(asked) - used, "%d+%d ", (int)(offset / PAGE) + 1,
                       (int)(size / PAGE));
    return 0;
}

/* A commit of these pages, ascending and ended by 0, that makes the database so many pages large. */
static void add_commit(struct bench *bench, struct buf *body, const uint32_t *pages, uint32_t pages_after)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
    uint8_t images[RUN_MAX * PAGE], previous[RUN_MAX * PAGE];
    uint32_t pages_before = (uint32_t)(bench->size / PAGE);
    struct data_run run = {.path = "app.db", .page_size = PAGE, .pages_after = pages_after, .is_last = true};
    size_t previous_size = 0;
    struct err err;

    bench->bytes = xrealloc(bench->bytes, (size_t)pages_after * PAGE);
    for (; pages[run.count] != 0; run.count++) {
        uint8_t *page = bench->bytes + (size_t)(pages[run.count] - 1) * PAGE;
        if (pages[run.count] <= pages_before) {
            memcpy(previous + previous_size, page, PAGE);
            previous_size += PAGE;
        }
        memset(page, (int)(body->size + run.count) | 1, PAGE);
        memcpy(images + (size_t)run.count * PAGE, page, PAGE);
    }
    bench->size = (size_t)pages_after * PAGE;
    run.pages = pages;
    run.rolling_hash = pagehash_of(bench->bytes, bench->size, PAGE, 1);
    EXPECT_OK(delta_encode(codec, images, (size_t)run.count * PAGE,
                           (struct codec_prefix){previous, previous_size}, &frame, &err),
              &err);
    run.frame = frame.bytes;
    run.frame_size = frame.size;
    data_add_run(body, &run);
}

/* What was asked for, and whether it was before the first page was read. */
static void expect_asked(struct replay *replay, uint64_t position, struct buf *body, const char *wanted)
{
    struct record record = {
        .header = {.kind = RECORD_DATA, .position = position, .data_position = position},
        .body = body->bytes,
        .body_size = body->size,
    };
    struct err err;

    asked[0] = '\0';
    reads = false;
    EXPECT_OK(replay_record(replay, &record, &err), &err);
    EXPECT_STR(asked, wanted);
    buf_reset(body);
}

static struct replay *open_replay(struct bench *bench)
{
    CLEANUP(restore_freep) struct restore *restore = NULL;
    struct replay_config config = {
        .store = bench->store, .manifest = &bench->manifest, .place = bench->place};
    struct err err;

    EXPECT_OK(restore_open(bench->store, &bench->manifest, NULL, NULL, NULL, &restore, &err) &&
                  restore_release(restore, bench->place, &err),
              &err);
    restore_expect_more(restore);
    EXPECT_OK(restore_wait(restore, &err), &err);
    config.restore = restore;
    return replay_open(&config);
}

TEST(the_pages_of_a_record_are_asked_for_once_before_they_are_read)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(RECORD_SIZE_MAX);
    struct bench bench;
    struct replay *replay;

    set_up(&bench, PAGE, (size_t)PAGES * PAGE);
    replay = open_replay(&bench);
    add_commit(&bench, &body, (const uint32_t[]){3, 4, 9, 0}, PAGES);
    add_commit(&bench, &body, (const uint32_t[]){4, 10, PAGES + 1, PAGES + 2, 0}, PAGES + 2);
    expect_asked(replay, 8, &body, "3+2 9+1 10+1 | ");
    add_commit(&bench, &body, (const uint32_t[]){3, 4, 5, 6, 9, PAGES, 0}, PAGES + 2);
    expect_asked(replay, 9, &body, "5+2 50+1 | ");
    add_commit(&bench, &body, (const uint32_t[]){5, 6, 0}, PAGES + 2);
    expect_asked(replay, 10, &body, ""); /* they are kept, too */
    replay_free(replay);
    tear_down(&bench);
}

TAP_MAIN()
