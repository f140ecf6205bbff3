#include "tests/double/scene.h"

#include "base/clock.h"

#include <poll.h>
#include <stdio.h>

enum { TEND_MS = 100 };

static atomic_bool never;

bool scene_attach(const char *path, struct database **ret_database, struct err *err)
{
    return database_convert(path, clock_monotonic_ms() + SCENE_GENEROUS_MS, &never, err) &&
           database_attach(path, clock_monotonic_ms() + SCENE_GENEROUS_MS, &never, ret_database, err);
}

bool scene_freeze(struct database *database, struct err *err)
{
    return database_freeze(&database, 1, clock_monotonic_ms() + SCENE_GENEROUS_MS, &never, err);
}

bool scene_tend(struct database *database, uint64_t ms, struct err *err)
{
    uint64_t end_ms = clock_monotonic_ms() + ms;

    while (clock_monotonic_ms() < end_ms) {
        if (!database_tend(database, err) && err->code != ERR_TRANSIENT)
            return false;
        (void)poll(NULL, 0, TEND_MS);
    }
    return true;
}

int64_t scene_copy(struct database *database)
{
    struct err err = {0};
    bool copied = scene_freeze(database, &err) && sample_copy_frozen(database, sample_path("copy"), &err);

    database_thaw(database);
    if (copied)
        return sample_value(sample_path("copy"));
    printf("#   %s\n", err.text);
    return -1;
}

bool scene_begin(struct scene *scene, uint64_t rate, uint64_t bytes)
{
    *scene = (struct scene){.path = sample_path("db")};
    scene->plan = writer_plan_for(scene->path, rate);
    scene->plan.bytes = bytes;
    if (writer_start(&scene->writer, &scene->plan) &&
        scene_attach(scene->path, &scene->database, &scene->err))
        return true;
    printf("#   the scene did not begin: %s\n", scene->err.text);
    return false;
}

bool scene_end(struct scene *scene, uint64_t committed_before)
{
    bool ended = writer_stop(&scene->writer);
    int64_t committed = (int64_t)(committed_before + atomic_load(&scene->writer.stats->commits));
    uint64_t worst_us = atomic_load(&scene->writer.stats->worst_us);
    int64_t copied = scene_copy(scene->database), left;

    database_detach(scene->database);
    left = sample_value(scene->path);
    if (ended && worst_us < WRITER_STALL_MAX_US && copied == committed && left == committed)
        return true;
    printf("#   committed %lld, copied %lld, left %lld; ended %s, code %lld, longest commit %llu us\n",
           (long long)committed, (long long)copied, (long long)left, ended ? "well" : "badly",
           (long long)atomic_load(&scene->writer.stats->failed), (unsigned long long)worst_us);
    return false;
}
