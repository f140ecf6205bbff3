/* Lives whose data directory has other databases beside the one that the writer owns. */
#ifndef TESTS_UNIT_DATABASES_LIFE_H
#define TESTS_UNIT_DATABASES_LIFE_H

#include "tests/double/life_story.h"
#include "tests/double/sample.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { COMMITS = 150, MODE_BITS = 07777 };

static inline size_t bases(const struct life *life)
{
    return store_fault_count(life->faulty, "put", "base/");
}

/* A database of several hundred KB, all of it shipped. */
static inline void begin(struct life *life)
{
    life_set_up(life);
    REQUIRE(life_begin(life));
    REQUIRE(life_commit(life, COMMITS));
    engine_answered(life->engine);
    REQUIRE(life_settle(life));
}

static inline const char *path_of(const struct life *life, const char *name)
{
    static char paths[2][SAMPLE_PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 2];

    (void)snprintf(path, SAMPLE_PATH_MAX, "%s/%s", life->disk.path, name);
    return path;
}

static inline void make(const struct life *life, const char *name, uint64_t commits, const char *sql)
{
    REQUIRE(writer_make(path_of(life, name), commits, sql));
}

/* With all that SQLite has beside it. */
static inline void delete (const struct life *life, const char *name)
{
    static const char *const suffixes[] = {"-shm", "-wal", ""};

    for (size_t at = 0; at < 3; at++) {
        char beside[SAMPLE_PATH_MAX];
        (void)snprintf(beside, sizeof(beside), "%s%s", name, suffixes[at]);
        (void)unlinkat(life->disk.fd, beside, 0);
    }
}

/* As people replace a database: the new one is complete when it takes the name. */
static inline void replace(const struct life *life, const char *name, uint64_t commits, const char *sql)
{
    static unsigned count;
    char outside[32];

    (void)snprintf(outside, sizeof(outside), "replacement%u", count++);
    REQUIRE(writer_make(sample_path(outside), commits, sql));
    delete (life, name);
    EXPECT_INT(rename(sample_path(outside), path_of(life, name)), 0);
}

static inline int64_t value(const struct life *life, const char *name)
{
    return faccessat(life->disk.fd, name, F_OK, 0) == 0 ? sample_value(path_of(life, name)) : 0;
}

static inline uint32_t mode_of(const struct life *life, const char *name)
{
    struct stat status = {0};

    EXPECT_INT(fstatat(life->disk.fd, name, &status, 0), 0);
    return status.st_mode & MODE_BITS;
}

static inline void begin_again(struct life *life)
{
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_wipe(life);
    REQUIRE(life_begin(life));
    engine_answered(life->engine);
}

static inline void end(struct life *life)
{
    EXPECT_INT(life_end(life), ENGINE_DONE);
    life_tear_down(life);
}

#endif
