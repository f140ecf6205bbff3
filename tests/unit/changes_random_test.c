/* Random trees and random changes: a replica that carries out the sections of each record is what is on the
 * disk. */
#include "snapshot/replay.h"
#include "tests/double/changing.h"
#include "tests/double/replica.h"
#include "tests/double/tumult.h"
#include "tests/tap.h"

enum { ROUNDS = 25, OPERATIONS = 12, SEEDS = 40 };

static void run_without_waiting(unsigned seed)
{
    CLEANUP(changing_close) struct changing changing;

    changing_open(&changing);
    tumult_begin(changing.disk.fd, seed);
    for (int round = 0; round < ROUNDS; round++) {
        tumult_go_on(tumult_roll(OPERATIONS));
        changing.body_max = tumult_roll(3) == 0 ? 20000 : CHANGES_BODY_MAX;
        SHIP(&changing);
        REQUIRE(changing_is_equal(&changing));
        REQUIRE(changing.changes.left == 0 && !changing.changes.failed[0]);
        SHIP(&changing); /* nothing has changed since */
        REQUIRE(changing.changes.sections.size == 0);
    }
}

TEST(a_replica_that_follows_the_records_is_what_is_on_the_disk)
{
    for (unsigned seed = 1; seed <= SEEDS && tap_failures == 0; seed++) {
        run_without_waiting(seed);
        if (tap_failures > 0)
            printf("# seed %u\n", seed);
    }
}

/* A deletion that waits, or a directory above one. */
static bool waits(void *context, const char *path)
{
    const struct deletions *deletions = context;
    size_t length = strlen(path);

    for (size_t at = 0; at < deletions->count; at++) {
        const char *waiting = deletions->list[at].path;
        if (strncmp(waiting, path, length) == 0 && (waiting[length] == '\0' || waiting[length] == '/'))
            return true;
    }
    return false;
}

static void run_with_deletions(unsigned seed)
{
    CLEANUP(changing_close) struct changing changing;
    static struct base_database database = {.path = "db"};

    changing_open(&changing);
    tumult_begin(changing.disk.fd, seed);
    changing.final = false;
    changing.moment.databases = &database;
    changing.moment.databases_count = 1;
    for (int round = 0; round < ROUNDS; round++) {
        tumult_go_on(tumult_roll(OPERATIONS));
        changing.moment.now_ms += tumult_roll(40000);
        changing.moment.commits_frozen += tumult_roll(2);
        changing.moment.commits_seen = changing.moment.commits_frozen + tumult_roll(2);
        SHIP(&changing);
        REQUIRE(replica_equals(changing.copy.fd, changing.disk.fd, waits, &changing.deletions));
        REQUIRE(replica_is_listed(changing.copy.fd, changing.previous));
    }
    changing.final = true;
    SHIP(&changing);
    REQUIRE(changing_is_equal(&changing));
}

TEST(deletions_that_wait_are_all_that_a_replica_has_more)
{
    for (unsigned seed = 1; seed <= SEEDS && tap_failures == 0; seed++) {
        run_with_deletions(seed);
        if (tap_failures > 0)
            printf("# seed %u\n", seed);
    }
}

/* The product's own hand: what a restore makes of the same records, from nothing. */
struct records {
    struct buf sections[ROUNDS];
    size_t count;
};

static void keep_record(struct records *records, const struct changes *changes)
{
    struct buf *kept = &records->sections[records->count++];

    *kept = (struct buf)BUF_INIT(SIZE_MAX - 1);
    buf_add(kept, changes->sections.bytes, changes->sections.size);
}

static bool replay_all(struct replay *replay, const struct records *records, struct err *err)
{
    struct record record = {.header = {.kind = RECORD_DATA}};

    for (size_t at = 0; at < records->count; at++) {
        record.header.position = at + 2;
        record.header.data_position = at + 2;
        record.body = records->sections[at].bytes;
        record.body_size = records->sections[at].size;
        if (!replay_record(replay, &record, err))
            return false;
    }
    return replay_finish(replay, err);
}

static bool restore_into(int directory_fd, struct store *store, const struct records *records,
                         struct manifest *manifest, struct err *err)
{
    CLEANUP(place_freep) struct place *place = NULL;
    CLEANUP(restore_freep) struct restore *restore = NULL;
    CLEANUP(replay_freep) struct replay *replay = NULL;
    struct replay_config config = {.store = store, .manifest = manifest};
    size_t set_aside = 0;

    if (!place_begin(directory_fd, NULL, "", &place, err) ||
        !restore_open(store, manifest, NULL, NULL, NULL, &restore, err) ||
        !restore_release(restore, place, err))
        return false;
    restore_expect_more(restore);
    if (!restore_wait(restore, err))
        return false;
    config.place = place;
    config.restore = restore;
    replay = replay_open(&config);
    restore_free(MOVE(restore));
    if (!replay_all(replay, records, err))
        return false;
    replay_take(replay);
    return place_finish(place, manifest->tree, NULL, 0, &set_aside, err);
}

static void run_with_a_restore(unsigned seed)
{
    CLEANUP(changing_close) struct changing changing;
    CLEANUP(scratch_closep) struct scratch restored;
    struct records records = {.count = 0};
    struct manifest manifest;
    struct err err;

    changing_open(&changing);
    scratch_open(&restored);
    manifest_init(&manifest);
    manifest.tree = tree_new();
    manifest.position = 1;
    tumult_begin(changing.disk.fd, seed);
    for (int round = 0; round < ROUNDS; round++) {
        tumult_go_on(tumult_roll(OPERATIONS));
        changing.body_max = tumult_roll(3) == 0 ? 20000 : CHANGES_BODY_MAX;
        SHIP(&changing);
        keep_record(&records, &changing.changes);
    }
    EXPECT_OK(restore_into(restored.fd, changing.mem, &records, &manifest, &err), &err);
    EXPECT(replica_equals(restored.fd, changing.disk.fd, NULL, NULL));
    EXPECT(replica_is_listed(restored.fd, changing.previous));
    for (size_t at = 0; at < records.count; at++)
        buf_clear(&records.sections[at]);
    manifest_clear(&manifest);
}

TEST(a_restore_of_all_records_is_what_is_on_the_disk)
{
    for (unsigned seed = 100; seed < 100 + SEEDS && tap_failures == 0; seed++) {
        run_with_a_restore(seed);
        if (tap_failures > 0)
            printf("# seed %u\n", seed);
    }
}

TAP_MAIN()
