/* `backend load`: commits values through HTTP and notes what was acknowledged. An answer that doesn't come
 * proves nothing either way, so its value is never sent again and never noted. */
#include "tests/backend/client.h"
#include "tests/backend/commands.h"
#include "tests/backend/flags.h"
#include "tests/backend/json.h"
#include "tests/backend/latency.h"
#include "tests/backend/oracle.h"
#include "tests/backend/pause.h"
#include "tests/backend/random.h"
#include "tests/backend/say.h"

#include "base/clock.h"
#include "base/thread.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { LANES_MAX = 64, RETRY_PAUSE_MS = 20, TIMEOUT_MS = 60000 };

struct load_settings {
    const char *url, *oracle;
    uint64_t rate; /* a second, of all lanes together; 0: as many as possible */
    uint64_t seconds, lanes, seed;
};

struct lane {
    const struct load_settings *settings;
    struct oracle *oracle;
    unsigned number;
    uint64_t until_ms; /* UINT64_MAX: until a signal */
    pthread_t thread;
    struct latency latency;
    uint64_t acknowledged, refused, broken, longest_gap_ms;
    struct err err; /* code is ERR_NONE unless the lane gave up */
};

const char load_help[] =
    "usage: backend load --url http://HOST:PORT --oracle FILE\n"
    "  --rate N|max     requests a second, of all lanes together (50)\n"
    "  --seconds S      0: until SIGTERM or SIGINT (10)\n"
    "  --lanes N        connections (1)\n"
    "  --seed N         of the values (any)\n";

static atomic_bool stopping;

static void on_stop(int number)
{
    (void)number;
    atomic_store(&stopping, true);
}

/* One write; true if it was acknowledged and noted. */
static bool write_one(struct lane *lane, struct client *client, const char *value)
{
    CLEANUP(buf_clearp) struct buf answer = BUF_INIT(64 * 1024);
    uint64_t begun_ns = clock_monotonic_ns(), id;
    unsigned status;
    struct err err;

    if (!client_ask(client, "POST", "/write", value, &status, &answer, &err)) {
        lane->broken++;
        return false;
    }
    if (status != 200 || !json_number(buf_text(&answer), "id", &id)) {
        lane->refused++;
        return false;
    }
    latency_add(&lane->latency, (clock_monotonic_ns() - begun_ns) / 1000);
    if (!oracle_note(lane->oracle, id, value, &lane->err))
        return false;
    lane->acknowledged++;
    return true;
}

static void lane_run(struct lane *lane, struct client *client)
{
    uint64_t due_ns = 0, last_ms = clock_monotonic_ms();
    char value[96];

    for (uint64_t count = 1; !atomic_load(&stopping) && clock_monotonic_ms() < lane->until_ms; count++) {
        if (lane->settings->rate)
            pause_pace(&due_ns, lane->settings->lanes * NS_PER_SECOND / lane->settings->rate);
        (void)snprintf(value, sizeof(value), "load %" PRIx64 " lane %u value %" PRIu64, lane->settings->seed,
                       lane->number, count);
        if (write_one(lane, client, value)) {
            uint64_t now_ms = clock_monotonic_ms();
            if (now_ms - last_ms > lane->longest_gap_ms)
                lane->longest_gap_ms = now_ms - last_ms;
            last_ms = now_ms;
        } else if (lane->err.code) {
            return;
        } else {
            pause_ms(RETRY_PAUSE_MS);
        }
    }
}

static void *lane_main(void *context)
{
    struct lane *lane = context;
    CLEANUP(client_closep) struct client *client = NULL;

    if (client_open(lane->settings->url, TIMEOUT_MS, &client, &lane->err))
        lane_run(lane, client);
    return NULL;
}

static bool settings_read(struct load_settings *settings, int count, char **arguments, struct err *err)
{
    struct flag flags[] = {
        {.name = "url", .kind = FLAG_TEXT, .target = &settings->url, .required = true},
        {.name = "oracle", .kind = FLAG_TEXT, .target = &settings->oracle, .required = true},
        {.name = "rate", .kind = FLAG_RATE, .target = &settings->rate},
        {.name = "seconds", .kind = FLAG_NUMBER, .target = &settings->seconds},
        {.name = "lanes", .kind = FLAG_NUMBER, .target = &settings->lanes},
        {.name = "seed", .kind = FLAG_NUMBER, .target = &settings->seed},
    };
    struct random random;

    random_seed_anew(&random);
    *settings = (struct load_settings){.rate = 50, .seconds = 10, .lanes = 1, .seed = random_next(&random)};
    if (!flags_parse(flags, sizeof(flags) / sizeof(flags[0]), count, arguments, err))
        return false;
    if (settings->lanes == 0 || settings->lanes > LANES_MAX)
        return err_set(err, ERR_CONFIG, "--lanes is 1 to %d", LANES_MAX);
    return true;
}

static int report(struct lane *lanes, size_t count)
{
    struct lane *first = &lanes[0];
    int status = 0;

    for (size_t at = 0; at < count; at++) {
        if (lanes[at].err.code) {
            complain("%s", lanes[at].err.text);
            status = 1;
        }
        if (at == 0)
            continue;
        first->acknowledged += lanes[at].acknowledged;
        first->refused += lanes[at].refused;
        first->broken += lanes[at].broken;
        if (lanes[at].longest_gap_ms > first->longest_gap_ms)
            first->longest_gap_ms = lanes[at].longest_gap_ms;
        latency_merge(&first->latency, &lanes[at].latency);
        latency_clear(&lanes[at].latency);
    }
    printf("{\"acknowledged\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"broken\":%" PRIu64
           ",\"longest_gap_ms\":%" PRIu64 ",\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64 ",\"max_us\":%" PRIu64
           "}\n",
           first->acknowledged, first->refused, first->broken, first->longest_gap_ms,
           latency_at_us(&first->latency, 500), latency_at_us(&first->latency, 990),
           latency_at_us(&first->latency, 1000));
    latency_clear(&first->latency);
    return status;
}

int load_command(int count, char **arguments)
{
    struct lane lanes[LANES_MAX] = {0};
    struct load_settings settings;
    struct oracle oracle;
    struct err err;

    if (!settings_read(&settings, count, arguments, &err) || !oracle_open(settings.oracle, &oracle, &err)) {
        complain("%s", err.text);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGTERM, on_stop);
    (void)signal(SIGINT, on_stop);
    for (size_t at = 0; at < settings.lanes; at++) {
        lanes[at] = (struct lane){.settings = &settings, .oracle = &oracle, .number = (unsigned)at};
        lanes[at].until_ms = settings.seconds ? clock_monotonic_ms() + settings.seconds * 1000 : UINT64_MAX;
        if (!thread_start(&lanes[at].thread, "lane", lane_main, &lanes[at], &err)) {
            complain("%s", err.text);
            return 1;
        }
    }
    for (size_t at = 0; at < settings.lanes; at++)
        (void)pthread_join(lanes[at].thread, NULL);
    oracle_close(&oracle);
    return report(lanes, settings.lanes);
}
