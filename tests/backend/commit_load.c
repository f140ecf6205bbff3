/* `backend commit-load`: commits straight into the database, without HTTP, and tells how long each COMMIT
 * took. A lock that isn't to be had within 5 s ends it with 1, as it would end the backend. */
#include "tests/backend/commands.h"
#include "tests/backend/first_boot.h"
#include "tests/backend/flags.h"
#include "tests/backend/latency.h"
#include "tests/backend/pause.h"
#include "tests/backend/say.h"
#include "tests/backend/writer.h"

#include "base/buf.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct commit_settings {
    const char *data, *trace;
    uint64_t rate; /* a second; 0: as many as possible */
    uint64_t seconds, seed;
    uint64_t commits; /* the end, if it comes before that of the seconds; 0: none */
    bool wal;
};

struct commit_load {
    const struct commit_settings *settings;
    struct persistence *persistence;
    struct writer *writer;
    FILE *trace; /* or NULL */
    struct latency latency;
    uint64_t took_ms;
};

const char commit_load_help[] =
    "usage: backend commit-load --data DIR\n"
    "  --rate N|max     commits a second (50)\n"
    "  --seconds S      (10)\n"
    "  --commits N      end after so many, if that comes first\n"
    "  --wal            switch to WAL first\n"
    "  --trace FILE     a line for each commit: UNIX_MS MICROSECONDS\n"
    "  --seed N         (any)\n";

static bool settings_read(struct commit_settings *settings, int count, char **arguments, struct err *err)
{
    struct flag flags[] = {
        {.name = "data", .kind = FLAG_TEXT, .target = &settings->data, .required = true},
        {.name = "rate", .kind = FLAG_RATE, .target = &settings->rate},
        {.name = "seconds", .kind = FLAG_NUMBER, .target = &settings->seconds},
        {.name = "commits", .kind = FLAG_NUMBER, .target = &settings->commits},
        {.name = "trace", .kind = FLAG_TEXT, .target = &settings->trace},
        {.name = "seed", .kind = FLAG_NUMBER, .target = &settings->seed},
        {.name = "wal", .kind = FLAG_SWITCH, .target = &settings->wal},
    };

    *settings = (struct commit_settings){.rate = 50, .seconds = 10};
    return flags_parse(flags, sizeof(flags) / sizeof(flags[0]), count, arguments, err);
}

static bool commit_load_open(struct commit_load *load, struct err *err)
{
    CLEANUP(freep) char *path = xasprintf("%s/db.sqlite3", load->settings->data);

    if (!persistence_open(path, NULL, &load->persistence, err) || !database_load(load->persistence, err) ||
        !writer_open(load->persistence, load->settings->seed, &load->writer, err) ||
        (load->settings->wal && !persistence_use_wal(load->persistence, err)))
        return false;
    if (!load->settings->trace)
        return true;
    load->trace = fopen(load->settings->trace, "we");
    return load->trace || err_errno(err, "open %s", load->settings->trace);
}

static void commit_load_close(struct commit_load *load)
{
    latency_clear(&load->latency);
    writer_close(load->writer);
    persistence_close(load->persistence);
    close_filep(&load->trace);
}

static bool commit_one(struct commit_load *load, uint64_t number, struct err *err)
{
    uint64_t begun_ns, took_us;
    char value[64];

    (void)snprintf(value, sizeof(value), "committed %" PRIu64, number);
    writer_begin(load->writer);
    (void)writer_add_mutation(load->writer, value);
    begun_ns = clock_monotonic_ns();
    if (!persistence_write(load->persistence, &load->writer->batch, err))
        return false;
    took_us = (clock_monotonic_ns() - begun_ns) / 1000;
    latency_add(&load->latency, took_us);
    if (load->trace)
        (void)fprintf(load->trace, "%" PRIu64 " %" PRIu64 "\n", clock_unix_ns() / NS_PER_MS, took_us);
    return true;
}

static bool run(struct commit_load *load, struct err *err)
{
    const struct commit_settings *settings = load->settings;
    uint64_t begun_ns = clock_monotonic_ns(), due_ns = 0, number = 0;
    bool held = true;

    while (held && (settings->commits == 0 || number < settings->commits) &&
           clock_monotonic_ns() - begun_ns < settings->seconds * NS_PER_SECOND) {
        if (settings->rate)
            pause_pace(&due_ns, NS_PER_SECOND / settings->rate);
        held = commit_one(load, ++number, err);
    }
    load->took_ms = (clock_monotonic_ns() - begun_ns) / NS_PER_MS;
    return held;
}

static void report(struct commit_load *load)
{
    size_t count = load->latency.count;

    printf("{\"commits\":%zu,\"per_second\":%" PRIu64 ",\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64
           ",\"max_us\":%" PRIu64 "}\n",
           count, load->took_ms ? count * 1000 / load->took_ms : 0, latency_at_us(&load->latency, 500),
           latency_at_us(&load->latency, 990), latency_at_us(&load->latency, 1000));
}

int commit_load_command(int count, char **arguments)
{
    struct commit_settings settings;
    struct commit_load load = {.settings = &settings};
    struct err err;
    bool held;

    if (!settings_read(&settings, count, arguments, &err)) {
        complain("%s", err.text);
        return 2;
    }
    held = commit_load_open(&load, &err) && run(&load, &err);
    if (!held)
        complain("%s", err.text);
    report(&load);
    commit_load_close(&load);
    return held ? 0 : 1;
}
