/* What a record needs is asked of the disk as soon as the record is known, and once. */
#include "snapshot/replay.h"

#include "base/thread.h"
#include "snapshot/data_body.h"
#include "tests/unit/restore_bench.h"

#include <fcntl.h>

enum { PAGE = 4096, PAGES = 50, RUN_MAX = 8, LIMIT_S = 20 };

/* "3+2 " for pages 3 and 4. */
static char asked[200];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards it */
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;

int hooked_fadvise(int fd, off_t offset, off_t size, int advice) __asm__("posix_fadvise64");

int hooked_fadvise(int fd, off_t offset, off_t size, int advice)
{
    size_t used;

    (void)fd;
    MUTEX_GUARD(&mutex);
    used = strlen(asked);
    if (advice == POSIX_FADV_WILLNEED)
        (void)snprintf(asked + used, sizeof(asked) - used, "%d+%d ", (int)(offset / PAGE) + 1,
                       (int)(size / PAGE));
    (void)pthread_cond_signal(&moved);
    return 0;
}

/* All that was asked since the last time. */
static void expect_asked(const char *wanted)
{
    struct timespec until;
    int late = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LIMIT_S;
    MUTEX_GUARD(&mutex);
    while (strlen(asked) < strlen(wanted) && !late)
        late = pthread_cond_timedwait(&moved, &mutex, &until);
    EXPECT_STR(asked, wanted);
    asked[0] = '\0';
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

/* The record is known before it is its turn. */
static void replay_body(struct replay *replay, uint64_t position, struct buf *body, const char *wanted)
{
    struct record record = {
        .header = {.kind = RECORD_DATA, .position = position, .data_position = position},
        .body = body->bytes,
        .body_size = body->size,
    };
    struct err err;

    replay_expect(replay, &record);
    expect_asked(wanted);
    EXPECT_OK(replay_record(replay, &record, &err), &err);
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

TEST(the_pages_of_a_record_are_asked_for_once_before_its_turn)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(RECORD_SIZE_MAX);
    struct bench bench;
    struct replay *replay;

    set_up(&bench, PAGE, (size_t)PAGES * PAGE);
    replay = open_replay(&bench);
    add_commit(&bench, &body, (const uint32_t[]){3, 4, 9, 0}, PAGES);
    add_commit(&bench, &body, (const uint32_t[]){4, 10, PAGES + 1, PAGES + 2, 0}, PAGES + 2);
    replay_body(replay, 8, &body, "3+2 9+1 10+1 ");
    add_commit(&bench, &body, (const uint32_t[]){3, 4, 5, 6, 9, PAGES, 0}, PAGES + 2);
    replay_body(replay, 9, &body, "5+2 50+1 ");
    add_commit(&bench, &body, (const uint32_t[]){5, 6, 0}, PAGES + 2);
    replay_body(replay, 10, &body, ""); /* they are kept, too */
    replay_free(replay);                /* waits for what would still be asked */
    expect_asked("");
    tear_down(&bench);
}

TAP_MAIN()
