/* Lives that lose a database just before they crash, on a disk that is kept. */
#ifndef TESTS_UNIT_GONE_LIFE_H
#define TESTS_UNIT_GONE_LIFE_H

#include "snapshot/state.h"
#include "tests/unit/warm_life.h"

#include <unistd.h>

enum { BEFORE = 1, TAIL = 5 };

/* One that stays and one that goes, both shipped. */
static inline bool begin_with_two(struct life *life)
{
    life_set_up(life);
    life->faulty->observer = &observer;
    scratch_mkdir(life->disk.fd, "tmp"); /* not protected */
    scratch_write(life->disk.fd, "text", "there");
    return fill_database(life, "db.sqlite3", SMALL) && fill_database(life, "sub.sqlite3", 20) &&
           life_begin(life) && (engine_answered(life->engine), life_settle(life));
}

static inline void unlink_sides(const struct life *life)
{
    (void)unlinkat(life->disk.fd, "sub.sqlite3-wal", 0);
    (void)unlinkat(life->disk.fd, "sub.sqlite3-shm", 0);
}

static inline void delete_sub(const struct life *life)
{
    EXPECT_INT(unlinkat(life->disk.fd, "sub.sqlite3", 0), 0);
    unlink_sides(life);
}

/* Complete when it takes the name, and larger. */
static inline void replace_sub(struct life *life)
{
    REQUIRE(fill_database(life, "tmp/new.sqlite3", 30));
    unlink_sides(life);
    EXPECT_INT(renameat(life->disk.fd, "tmp/new.sqlite3", life->disk.fd, "sub.sqlite3"), 0);
}

/* Whether the state file says that sub.sqlite3 is gone, and what stands there instead is what does. */
static inline bool is_noted(const struct life *life)
{
    struct file_id now = {0};
    struct state state;
    struct err err = {0};
    bool noted = false;

    if (!state_load(life->disk.fd, &state, &err) || !file_id_at(life->disk.fd, "sub.sqlite3", &now))
        return false;
    for (size_t at = 0; at < state.gone.count; at++) {
        const struct gone_database *gone = &state.gone.databases[at];
        noted = noted || (strcmp(gone->path, "sub.sqlite3") == 0 && file_id_same(&gone->now, &now) &&
                          file_id_differs(&gone->was, &gone->now));
    }
    state_clear(&state);
    return noted;
}

static inline bool await_note(const struct life *life)
{
    uint64_t limit_ms = clock_monotonic_ms() + LIFE_LIMIT_MS;

    while (!is_noted(life))
        if (!clock_pause(1, NULL) || clock_monotonic_ms() > limit_ms)
            return false;
    return true;
}

static inline bool has_sub(const struct scratch *disk)
{
    return scratch_exists(disk->fd, "sub.sqlite3");
}

/* The application commits to one database and does something to the other; then all is killed. */
static inline void crash_after(struct life *life, void (*act)(struct life *life))
{
    lose_store(life);
    REQUIRE(life_commit(life, TAIL));
    act(life);
    REQUIRE(await_note(life));
    REQUIRE(life_commit(life, TAIL));
    crash(life);
}

static inline void act_delete(struct life *life)
{
    delete_sub(life);
}

static inline void act_replace(struct life *life)
{
    replace_sub(life);
}

static inline void act_recreate(struct life *life)
{
    delete_sub(life);
    REQUIRE(await_note(life));
    REQUIRE(fill_database(life, "sub.sqlite3", 15));
}

static void (*const acts[])(struct life *life) = {act_delete, act_replace, act_recreate};

static inline void expect_kept(struct life *life, int64_t value)
{
    EXPECT(!life_warned(life, "the store wins"));
    EXPECT(!scratch_exists(life->disk.fd, ".holdfast/aside"));
    EXPECT_INT(life_value(life->disk.path), value);
}

/* The store has what the disk has, and nothing else. */
static inline void expect_shipped(struct life *life)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct reader_result result;
    struct err err = {0};

    REQUIRE(life_settle(life));
    expect_same(life, "db.sqlite3");
    scratch_open(&copy);
    REQUIRE_OK(reader_restore(life->mem, copy.path, READER_LATEST, NULL, NULL, &result, &err), &err);
    EXPECT_INT(has_sub(&copy), has_sub(&life->disk));
    if (has_sub(&life->disk))
        expect_copy(life->mem, &life->disk, "sub.sqlite3");
}

static inline size_t count_notes(const struct life *life)
{
    struct state state;
    struct err err = {0};
    size_t count;

    if (!EXPECT(state_load(life->disk.fd, &state, &err)))
        return SIZE_MAX;
    count = state.gone.count;
    state_clear(&state);
    return count;
}

#endif
