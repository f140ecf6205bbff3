#include "tests/double/story_internal.h"

#include "snapshot/pagehash.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const database_paths[STORY_DATABASES] = {"db.sqlite3", "dbs/two", "three.db"};

/* Ascending. Some lie in others, and each may become a file, a directory or a symlink. */
static const char *const file_paths[STORY_FILES] = {
    "b", "b.txt", "b/deep", "b/deep/x", "b/one", "c", "c/d", "empty", "f\xff\n", "large", "larger", "z",
};

const char *story_database_path(int database)
{
    return database_paths[database];
}

const char *story_file_path(int file)
{
    return file_paths[file];
}

void story_must(bool held, const struct err *err)
{
    if (held)
        return;
    printf("# story: %s\n", err->text);
    (void)fflush(stdout);
    abort();
}

/* splitmix64: https://prng.di.unimi.it/splitmix64.c */
uint64_t story_random(struct story *story, uint64_t limit)
{
    uint64_t z = story->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % limit;
}

void story_random_bytes(struct story *story, uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at++)
        bytes[at] = (uint8_t)story_random(story, 256);
}

struct buf story_body(void)
{
    return (struct buf)BUF_INIT(RECORD_SIZE_MAX - 4096);
}

/* --- states ------------------------------------------------------------------------------------------ */

uint8_t *story_copy(const void *bytes, size_t size)
{
    uint8_t *copy = xmalloc(size + 1);

    if (size > 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

size_t story_database_bytes(const struct story_database *database)
{
    return (size_t)database->pages * database->page_size;
}

struct story_state story_copy_state(const struct story_state *state)
{
    struct story_state copy = *state;

    for (int at = 0; at < STORY_DATABASES; at++)
        copy.databases[at].bytes =
            story_copy(state->databases[at].bytes, story_database_bytes(&state->databases[at]));
    for (int at = 0; at < STORY_FILES; at++) {
        const struct story_file *file = &state->files[at];
        size_t size = file->pieces_count * sizeof(file->pieces[0]);
        copy.files[at].bytes = story_copy(file->bytes, file->size);
        copy.files[at].pieces = xmalloc(size);
        if (size > 0)
            memcpy(copy.files[at].pieces, file->pieces, size);
    }
    return copy;
}

void story_clear_file(struct story_file *file)
{
    free(file->bytes);
    free(file->pieces);
    *file = (struct story_file){0};
}

void story_clear_state(struct story_state *state)
{
    for (int at = 0; at < STORY_DATABASES; at++)
        free(state->databases[at].bytes);
    for (int at = 0; at < STORY_FILES; at++)
        story_clear_file(&state->files[at]);
    *state = (struct story_state){0};
}

uint64_t story_hash(const struct story_database *database)
{
    return pagehash_of(database->bytes, story_database_bytes(database), database->page_size, 1);
}

void story_remember(struct story *story)
{
    story->after[history_head(&story->history)] = story_copy_state(&story->now);
}

/* --- records ----------------------------------------------------------------------------------------- */

uint64_t story_append(struct story *story, struct buf *body)
{
    struct log_change change = {.kind = RECORD_DATA, .changes_data = true};
    uint64_t position;

    assert(!body->overflowed);
    change.body = body->bytes;
    change.body_size = body->size;
    position = history_append(&story->history, &change);
    buf_clear(body);
    story_remember(story);
    return position;
}

void story_begin_part(struct buf *object)
{
    *object = (struct buf)BUF_INIT(PART_SIZE_MAX);
    buf_add(object, "HFPART01\0\0\0\0\0\0\0\0", 16);
}

/* The count of frames stands before them. */
struct digest story_store_part(struct story *story, uint64_t position, uint64_t n, struct buf *object,
                               uint32_t frames)
{
    struct key key = key_part(position, &story->history.owner, n);
    struct err err = {0};

    object->bytes[8] = (uint8_t)frames;
    object->bytes[9] = (uint8_t)(frames >> 8);
    story_must(store_put(story->history.mem, key.text, object->bytes, object->size, &err), &err);
    return digest_of(object->bytes, object->size);
}

static void change_databases(struct story *story, struct story_bulk *bulk, struct buf *body)
{
    for (int at = 0; at < STORY_DATABASES; at++)
        if (story_random(story, 2) == 0)
            story_change_database(story, at, bulk, body);
}

/* Bulks come first, and are known last. */
static void step_in_bulk(struct story *story, struct buf *body)
{
    CLEANUP(buf_clearp) struct buf runs = story_body();
    struct story_bulk bulk = {.frames = 0};
    struct digest hash;

    story_begin_part(&bulk.object);
    change_databases(story, &bulk, &runs);
    if (bulk.frames > 0) {
        hash = story_store_part(story, history_head(&story->history) + 1, story->next_n, &bulk.object,
                                bulk.frames);
        data_add_bulk(body, story->next_n++, bulk.object.size, &hash);
    }
    buf_add(body, runs.bytes, runs.size);
    buf_clear(&bulk.object);
}

void story_step(struct story *story)
{
    struct buf body = story_body();

    if (story->in_bulk)
        step_in_bulk(story, &body);
    else
        change_databases(story, NULL, &body);
    story_change_files(story, 6, &body);
    (void)story_append(story, &body);
}

void story_idle(struct story *story, enum record_kind kind)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(64);
    struct log_change change = {.kind = kind};

    if (kind == RECORD_DRAIN) {
        change.draining_until_ns = 1;
        drain_body_encode(1, &body);
    }
    change.body = body.bytes;
    change.body_size = body.size;
    (void)history_append(&story->history, &change);
    story_remember(story);
}

/* --- the whole --------------------------------------------------------------------------------------- */

void story_begin(struct story *story, uint64_t seed)
{
    struct buf body = story_body();

    *story = (struct story){.random = seed, .next_n = 1, .codec = codec_new()};
    history_begin(&story->history);
    for (int at = 0; at < STORY_DATABASES - 1; at++)
        story_change_database(story, at, NULL, &body);
    story_change_files(story, 1, &body);
    buf_clear(&body); /* it was never shipped as a change */
    story_remember(story);
    story_cut(story, history_head(&story->history), 0, true);
}

void story_end(struct story *story)
{
    story_clear_state(&story->now);
    for (size_t at = 0; at <= HISTORY_MAX; at++)
        story_clear_state(&story->after[at]);
    codec_free(story->codec);
    history_end(&story->history);
}
