#include "tests/double/siding.h"

#include "base/clock.h"
#include "snapshot/reader_internal.h"
#include "tests/double/life_story.h"
#include "tests/double/reading.h"

#include <stdio.h>
#include <string.h>

static bool is_first_base_there(const struct engine_status *status)
{
    return life_is_durable(status) && status->durable_record > status->epoch;
}

bool siding_grow(struct siding *siding, unsigned mib)
{
    struct writer *writer = &siding->life.writer;
    struct writer_plan plan = {.bytes = 1 << 20, .commits_max = mib};

    (void)snprintf(plan.paths[0], sizeof(plan.paths[0]), "%s/db.sqlite3", siding->life.disk.path);
    return writer_start(writer, &plan) && writer_finish(writer);
}

bool siding_begin(struct siding *siding, unsigned mib)
{
    struct life *life = &siding->life;
    char big[50000];

    *siding = (struct siding){.count = 0};
    life_set_up(life);
    life->config.sync_interval_ms = 10;
    life->config.frozen_log_bytes = SIDING_LOG_MAX;
    memset(big, 'b', sizeof(big));
    scratch_write_bytes(life->disk.fd, "big", big, sizeof(big));
    scratch_write(life->disk.fd, "kept", "kept");
    scratch_write(life->disk.fd, "removed", "removed later");
    if (!life_commit(life, 1) || (mib > 0 && !siding_grow(siding, mib)) || !life_begin(life))
        return false;
    engine_answered(life->engine);
    return life_await(life, is_first_base_there);
}

void siding_write(struct siding *siding)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "step %zu", siding->count);
    scratch_write(siding->life.disk.fd, "text", text);
}

void siding_note(struct siding *siding)
{
    struct life *life = &siding->life;

    if (siding->count == SIDING_STEPS_MAX)
        return;
    siding->steps[siding->count].record = life->status.durable_record;
    siding->steps[siding->count].value = life_value(life->disk.path);
    (void)snprintf(siding->steps[siding->count].text, sizeof(siding->steps[0].text), "step %zu",
                   siding->count);
    siding->count++;
}

bool siding_step(struct siding *siding, uint64_t commits)
{
    struct life *life = &siding->life;

    siding_write(siding);
    if ((commits > 0 && !life_commit(life, commits)) || !life_settle(life))
        return false;
    siding_note(siding);
    return true;
}

bool siding_ask(struct siding *siding)
{
    struct err err = {0};
    uint64_t request = 0;

    if (engine_ask_base(siding->life.engine, &request, &err))
        return true;
    printf("# %s\n", err.text);
    return false;
}

bool siding_hold(struct siding *siding)
{
    struct life *life = &siding->life;
    size_t before = store_fault_count(life->faulty, "put", "part/");

    store_fault_add(life->faulty,
                    &(struct store_fault){.operation = "put", .key = "part/", .kind = FAULT_HOLD});
    if (!siding_step(siding, 1) || !siding_ask(siding))
        return false;
    store_fault_await(life->faulty, "put", "part/", before + 1);
    return true;
}

uint64_t siding_newest_base(struct siding *siding, uint64_t *ret_position)
{
    struct reader_head head;
    struct err err = {0};

    if (!reader_find_head(siding->life.mem, &head, &err)) {
        printf("# %s\n", err.text);
        return 0;
    }
    *ret_position = head.header.base.position;
    return head.header.base.announced;
}

uint64_t siding_await_base(struct siding *siding, uint64_t before)
{
    uint64_t limit_ms = clock_monotonic_ms() + LIFE_LIMIT_MS, position = 0, announced;

    do {
        announced = siding_newest_base(siding, &position);
        if (announced > before)
            return announced;
        (void)!clock_pause(5, NULL);
    } while (clock_monotonic_ms() < limit_ms);
    printf("# no base was announced\n");
    return 0;
}

static bool step_agrees(struct siding *siding, size_t at)
{
    CLEANUP(scratch_closep) struct scratch copy;
    CLEANUP(freep) char *text = NULL;
    struct reader_result result;
    struct err err = {0};
    int64_t value;

    scratch_open(&copy);
    if (!reader_restore(siding->life.mem, copy.path, siding->steps[at].record, NULL, NULL, &result, &err)) {
        printf("# record %llu: %s\n", (unsigned long long)siding->steps[at].record, err.text);
        return false;
    }
    value = life_value(copy.path);
    text = scratch_read(copy.fd, "text");
    if (value == siding->steps[at].value && text && strcmp(text, siding->steps[at].text) == 0 &&
        scratch_stat(copy.fd, "big").st_size == 50000)
        return true;
    printf("# record %llu: value %lld and %s, not %lld and %s\n",
           (unsigned long long)siding->steps[at].record, (long long)value, text ? text : "no text",
           (long long)siding->steps[at].value, siding->steps[at].text);
    return false;
}

bool siding_agrees(struct siding *siding, uint64_t from)
{
    struct damages damages = {.count = 0};
    struct err err = {0};
    bool agrees = damages_find(siding->life.mem, &damages, &err);

    if (!agrees)
        printf("# verify: %s\n", err.text);
    for (size_t at = 0; at < siding->count; at++)
        if (siding->steps[at].record >= from)
            agrees = step_agrees(siding, at) && agrees;
    return agrees;
}
