/* What only the store itself can tell.
 *
 * The log is the lock, so everything rests on one promise: of several writers that create the same key at the
 * same time, exactly one succeeds. No document of a store proves it, and one probe by one writer doesn't
 * either; so eight writers race for a fresh key, several times over (the probe at start only tells a store
 * that ignores the condition altogether). */
#include "sidecar/doctor.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"
#include "sidecar/progress.h"
#include "snapshot/reader.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

enum { WRITERS = 8, ROUNDS = 20, CLOCK_FAULT_S = 15 * 60, CLOCK_NOTE_S = 60, REACH_TIMEOUT_MS = 10000 };

struct writer {
    struct store *store;
    const char *key;
    unsigned number;
    bool won;
    struct err err;
};

static bool race_once(void *context, struct err *err)
{
    struct writer *writer = context;
    char content[32];

    (void)err;
    (void)snprintf(content, sizeof(content), "writer %u", writer->number);
    writer->won = store_create(writer->store, writer->key, content, strlen(content), &writer->err);
    return true;
}

struct race {
    unsigned rounds;
    unsigned twice; /* rounds that more than one writer won */
    unsigned never; /* rounds that nobody won */
    struct err err; /* why, for the last of those */
};

static void judge_round(struct race *race, const struct writer writers[WRITERS])
{
    unsigned winners = 0;

    for (size_t at = 0; at < WRITERS; at++) {
        winners += writers[at].won;
        if (!writers[at].won && writers[at].err.code != ERR_CONFLICT)
            race->err = writers[at].err;
    }
    race->rounds++;
    race->twice += winners > 1;
    race->never += winners == 0;
}

static void run_round(struct store *store, struct pool *pool, const char *key, struct race *race)
{
    struct writer writers[WRITERS];
    struct task_group group;
    struct err err = {0};

    group_init(&group, pool, WRITERS);
    for (unsigned at = 0; at < WRITERS; at++) {
        writers[at] = (struct writer){.store = store, .key = key, .number = at};
        group_submit(&group, race_once, &writers[at]);
    }
    if (group_wait(&group, &err))
        judge_round(race, writers);
}

static void tell_race(struct diagnosis *diagnosis, const struct race *race, const struct config *config)
{
    if (race->twice > 0)
        diagnosis_add(diagnosis, config->unsafe_no_fencing ? VERDICT_NOTE : VERDICT_FAULT,
                      "conditional writes",
                      "in %u of %u races more than one of %d writers created the same key: two containers "
                      "could both own the "
                      "data; use a store that keeps If-None-Match",
                      race->twice, race->rounds, WRITERS);
    else if (race->never > 0)
        diagnosis_add(diagnosis, VERDICT_NOTE, "conditional writes",
                      "%u of %u races had no winner, the last because: %s", race->never, race->rounds,
                      race->err.text);
    else
        diagnosis_add(diagnosis, VERDICT_OK, "conditional writes",
                      "%u races of %d writers had one winner each", race->rounds, WRITERS);
}

static bool race_for_keys(struct diagnosis *diagnosis, struct store *store, const struct config *config,
                          const atomic_bool *canceled, struct err *err)
{
    struct race race = {.rounds = 0};
    struct pool *pool = NULL;
    uint64_t random = 0;
    bool deletes = true;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random) ||
        !pool_open(WRITERS, "race", &pool, err))
        return false;
    for (unsigned round = 0; round < ROUNDS && deletes && !atomic_load(canceled); round++) {
        char key[64];
        (void)snprintf(key, sizeof(key), "doctor/%016" PRIx64 "-%u", random, round);
        run_round(store, pool, key, &race);
        deletes = store_delete(store, key, err);
    }
    pool_free(pool);
    tell_race(diagnosis, &race, config);
    if (!deletes)
        diagnosis_add(diagnosis, VERDICT_FAULT, "permission to delete",
                      "%s; without it nothing can ever be pruned: allow it", err->text);
    else
        diagnosis_add(diagnosis, VERDICT_OK, "permission to delete",
                      "what was written below doctor/ is deleted again");
    return true;
}

static void look_at_clock(struct diagnosis *diagnosis, struct store *store)
{
    uint64_t here_ns = clock_unix_ns(), there_ns = store_unix_ns(store);
    uint64_t apart_s = (here_ns > there_ns ? here_ns - there_ns : there_ns - here_ns) / NS_PER_SECOND;
    const char *direction = here_ns > there_ns ? "ahead of" : "behind";

    if (apart_s > CLOCK_FAULT_S)
        diagnosis_add(diagnosis, VERDICT_FAULT, "clock",
                      "it is %" PRIu64 " s %s the store's: set it, requests are refused", apart_s, direction);
    else if (apart_s > CLOCK_NOTE_S)
        diagnosis_add(diagnosis, VERDICT_NOTE, "clock",
                      "it is %" PRIu64 " s %s the store's, which is tolerated", apart_s, direction);
    else
        diagnosis_add(diagnosis, VERDICT_OK, "clock", "it agrees with the store's");
}

static bool count_entry(void *context, const struct store_entry *entry, struct err *err)
{
    size_t *count = context;

    (void)entry;
    (void)err;
    (*count)++;
    return true;
}

static bool look_at_content(struct diagnosis *diagnosis, struct store *store)
{
    CLEANUP(buf_clearp) struct buf lineage = BUF_INIT(65536);
    struct err err = {0};
    size_t records = 0;

    if (!store_list(store, "log/", NULL, 1, count_entry, &records, &err)) {
        diagnosis_add(diagnosis, VERDICT_FAULT, "store", "%s", err.text);
        return false;
    }
    if (store_get(store, "holdfast.json", &lineage, &err))
        diagnosis_add(diagnosis, VERDICT_OK, "store", "it answers and holds data of holdfast");
    else if (err.code == ERR_NOT_FOUND && records == 0)
        diagnosis_add(diagnosis, VERDICT_OK, "store",
                      "it answers and is empty: the next start is a first boot");
    else
        diagnosis_add(diagnosis, VERDICT_FAULT, "store",
                      "it holds records, but holdfast.json can't be read: %s", err.text);
    return true;
}

/* What the next start would do. */
static void look_at_point(struct diagnosis *diagnosis, struct store *store, const struct point *point)
{
    static const char variable[] = "HOLDFAST_RESTORE_AT";
    bool carried_out = false;
    uint64_t record = 0;
    struct err err = {0};

    if (point->kind == POINT_NONE)
        return;
    if (!reader_is_carried_out(store, point, &carried_out, &err) ||
        (!carried_out && !reader_find_point(store, point, &record, &err)))
        diagnosis_add(diagnosis, VERDICT_FAULT, variable, "%s", err.text);
    else if (carried_out)
        diagnosis_add(diagnosis, VERDICT_OK, variable,
                      "it was carried out: the next start rolls nothing back");
    else
        diagnosis_add(diagnosis, VERDICT_NOTE, variable, "the next start rolls back to record %" PRIu64,
                      record);
}

/* A directory that holds the data already needs no room for them; one that isn't there yet can't be asked. */
static bool free_for_restore(const char *path, uint64_t *ret_bytes)
{
    CLEANUP(close_fdp) int directory = -1;
    struct err ignored = {0};

    return fs_open_directory(AT_FDCWD, path, &directory, &ignored) &&
           faccessat(directory, ".holdfast/state", F_OK, 0) != 0 &&
           fs_free_bytes(directory, ret_bytes, &ignored);
}

static void look_at_room(struct diagnosis *diagnosis, struct store *store, const char *path)
{
    uint64_t needed = 0, available = UINT64_MAX;
    char needed_text[16], available_text[16];
    struct err err = {0};

    if (!reader_newest_bytes(store, &needed, &err)) {
        if (err.code != ERR_CONFIG)
            diagnosis_add(diagnosis, VERDICT_FAULT, "newest base", "%s", err.text);
        return;
    }
    progress_format_bytes(needed, needed_text);
    if (!free_for_restore(path, &available) || available >= needed) {
        diagnosis_add(diagnosis, VERDICT_OK, "newest base", "a restore of it takes %s of disk", needed_text);
        return;
    }
    progress_format_bytes(available, available_text);
    diagnosis_add(
        diagnosis, VERDICT_FAULT, "newest base",
        "a restore of it takes %s of disk and %s has %s free: use a larger disk (on Cloudflare, a larger "
        "instance_type)",
        needed_text, path, available_text);
}

/* A write that no other check depends on, to tell a missing permission from a store without conditions. */
static bool look_at_writing(struct diagnosis *diagnosis, struct store *store)
{
    struct err err = {0};

    if (store_put(store, "doctor/write", "doctor", 6, &err) && store_delete(store, "doctor/write", &err)) {
        diagnosis_add(diagnosis, VERDICT_OK, "permission to write", "objects can be written");
        return true;
    }
    diagnosis_add(diagnosis, VERDICT_FAULT, "permission to write", "%s", err.text);
    return false;
}

bool doctor_look_at_store(struct diagnosis *diagnosis, const struct config *config, atomic_bool *canceled,
                          struct err *err)
{
    CLEANUP(store_freep) struct store *plain = NULL;
    CLEANUP(store_freep) struct store *patient = NULL;
    struct err fault = {0};

    if (!store_open(&config->store, canceled, NULL, &plain, &fault)) {
        diagnosis_add(diagnosis, VERDICT_FAULT, "store", "%s", fault.text);
        return true;
    }
    patient = store_retry(plain, REACH_TIMEOUT_MS, canceled);
    if (!look_at_content(diagnosis, patient))
        return true;
    look_at_point(diagnosis, patient, &config->restore_at);
    look_at_room(diagnosis, patient, config->data_directory);
    look_at_clock(diagnosis, plain);
    if (look_at_writing(diagnosis, patient) && !race_for_keys(diagnosis, plain, config, canceled, err))
        return false;
    if (config->store.kind == STORE_S3)
        diagnosis_add(diagnosis, VERDICT_NOTE, "lifecycle rules",
                      "they can't be read from here: make sure that the bucket has none that deletes objects "
                      "below the prefix");
    return true;
}
