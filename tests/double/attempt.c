#include "tests/double/attempt.h"

#include <string.h>

static struct store *store_of(const struct attempt *attempt)
{
    return attempt->store ? attempt->store : attempt->story->history.mem;
}

/* From where the lowest database stands, also where the base restarts the state: then there is more than is
 * needed. */
static bool apply_all(struct attempt *attempt, struct replay *replay)
{
    uint64_t after = attempt->manifest.lowest_position;
    struct chain_range range;
    struct chain_listing listing = {0};
    CLEANUP(chain_freep) struct chain *chain = NULL;
    struct record record;
    bool end = false, opened;

    if (attempt->through <= after)
        return true;
    range = history_range(&attempt->story->history, after, attempt->through);
    opened = chain_list(store_of(attempt), after, attempt->through, &listing, &attempt->err) &&
             chain_open(store_of(attempt), &range, &listing, &chain, &attempt->err);
    chain_listing_clear(&listing);
    while (opened && chain_next(chain, &record, &end, &attempt->err)) {
        if (end)
            return true;
        if (!replay_record(replay, &record, &attempt->err))
            return false;
    }
    return false;
}

static bool finish(struct attempt *attempt, struct replay *replay, struct place *place)
{
    const char *databases[STORY_DATABASES];
    size_t set_aside = 0;

    if (!replay_finish(replay, &attempt->err))
        return false;
    replay_take(replay);
    if (!place)
        return true;
    for (size_t at = 0; at < attempt->manifest.databases_count; at++)
        databases[at] = attempt->manifest.databases[at].path;
    return place_finish(place, attempt->manifest.tree, databases, attempt->manifest.databases_count,
                        &set_aside, &attempt->err);
}

static bool restore_base(struct attempt *attempt, struct place *place, struct restore **ret_restore)
{
    if (!restore_open(store_of(attempt), &attempt->manifest, NULL, NULL, NULL, ret_restore, &attempt->err) ||
        !restore_release(*ret_restore, place, &attempt->err))
        return false;
    restore_expect_more(*ret_restore);
    return restore_wait(*ret_restore, &attempt->err);
}

static bool restarts(const struct attempt *attempt)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;
    struct err err = {0};

    history_read(&attempt->story->history, attempt->announced, &bytes);
    return record_decode(bytes.bytes, bytes.size, &record, &err) &&
           record.header.data_position == attempt->announced;
}

bool attempt_carry_out(struct attempt *attempt)
{
    struct story *story = attempt->story;
    CLEANUP(place_freep) struct place *place = NULL;
    struct restore *restore = NULL;
    struct replay_config config = {.store = store_of(attempt), .manifest = &attempt->manifest};
    struct replay *replay;
    bool done;

    scratch_open(&attempt->disk);
    if (attempt->staged)
        scratch_write(attempt->disk.fd, "b", "what was here");
    attempt->manifest = story_manifest(story, attempt->announced);
    if (restarts(attempt))
        config.restarted = attempt->announced;
    if (!attempt->described_only &&
        (!place_begin(attempt->disk.fd, attempt->staged ? "old" : NULL, "", &place, &attempt->err) ||
         !restore_base(attempt, place, &restore))) {
        restore_free(restore);
        return false;
    }
    config.place = place;
    config.restore = restore;
    replay = replay_open(&config);
    restore_free(restore);
    done = apply_all(attempt, replay) && finish(attempt, replay, place);
    replay_free(replay);
    return done;
}

void attempt_clear(struct attempt *attempt)
{
    manifest_clear(&attempt->manifest);
    scratch_close(&attempt->disk);
}

void attempt_put_plain(struct buf *body, enum entry_kind kind, const char *path)
{
    CLEANUP(tree_freep) struct tree *tree = tree_new();
    const char *target = kind == ENTRY_SYMLINK ? "/tmp" : NULL;
    struct tree_entry *entry = tree_add(tree, path, strlen(path), target, target ? strlen(target) : 0);

    entry->kind = (uint8_t)kind;
    entry->mode = 0755;
    entry->size = target ? strlen(target) : 0;
    data_add_put(body, tree, entry, NULL, 0);
}
