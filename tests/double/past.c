#include "tests/double/past.h"

#include "snapshot/reader.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BIG_SIZE = 40000 };

static bool make_version(struct life *life, int version)
{
    static const char *const texts[] = {"", "one", "two", "three"};
    static uint8_t big[BIG_SIZE];

    memset(big, 'a' + version, sizeof(big));
    scratch_write(life->disk.fd, "text", texts[version]);
    scratch_write(life->disk.fd, version == 3 ? "new" : "old", "there");
    scratch_write_bytes(life->disk.fd, "big", big, sizeof(big));
    if (version == 3)
        (void)unlinkat(life->disk.fd, "old", 0);
    return life_commit(life, PAST_COMMITS);
}

bool past_set_up(struct past *past)
{
    struct life *life = &past->life;

    life_set_up(life);
    life->config.sync_interval_ms = 10;
    if (!make_version(life, 1) || !life_begin(life))
        return false;
    engine_answered(life->engine);
    for (int version = 1; version <= PAST_VERSIONS; version++) {
        if ((version > 1 && !make_version(life, version)) || !life_settle(life))
            return false;
        past->record[version] = life->status.durable_record;
    }
    return life_end(life) == ENGINE_DONE;
}

void past_tear_down(struct past *past)
{
    life_tear_down(&past->life);
}

void past_ask_for(struct past *past, enum point_kind kind, uint64_t value)
{
    past->life.config.restore_at = (struct point){kind, value};
}

bool past_starts(struct past *past, enum engine_roll_back what)
{
    if (!life_begin(&past->life))
        return false;
    if (past->life.status.roll_back != what)
        printf("# the roll-back is %d, not %d\n", (int)past->life.status.roll_back, (int)what);
    return past->life.status.roll_back == what;
}

bool past_holds(struct past *past, const char *text, int version)
{
    struct life *life = &past->life;
    CLEANUP(freep) char *big = scratch_read(life->disk.fd, "big");
    int64_t value = life_value(life->disk.path);

    if (life_says(life, "text", text) && value == version * PAST_COMMITS && big && big[0] == 'a' + version &&
        big[BIG_SIZE - 1] == 'a' + version)
        return true;
    printf("# not version %d: %d commits, big is %.1s\n", version, (int)value, big ? big : "-");
    return false;
}

bool past_restores(struct past *past, uint64_t record, const char *text)
{
    CLEANUP(scratch_closep) struct scratch copy;
    CLEANUP(freep) char *found = NULL;
    struct reader_result result;
    struct err err = {0};

    scratch_open(&copy);
    if (!reader_restore(past->life.mem, copy.path, record, NULL, NULL, &result, &err)) {
        printf("# record %d: %s\n", (int)record, err.text);
        return false;
    }
    found = scratch_read(copy.fd, "text");
    return found && strcmp(found, text) == 0;
}
