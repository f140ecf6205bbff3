/* Trips 1 and 2 of the start sequence: everything that must be known before a takeover, in two rounds of
 * parallel requests.
 *
 * "Empty" is a fact, not the absence of an answer: the store is empty only when every listing succeeded and
 * returned nothing and holdfast.json is known to be absent. Any failure is a failure of the start. The probe
 * tells whether the store honours If-None-Match, on which every other promise rests, so its verdict precedes
 * the takeover. */
#include "snapshot/start.h"

#include "base/clock.h"
#include "snapshot/identity.h"
#include "snapshot/survey.h"

#include <assert.h>
#include <string.h>

enum { LOG_PAGE = 1000, BASES_LISTED = 2, PACKS_LISTED = 1000, PROBE_PAUSE_MS = 1100, SURVEYS_MAX = 5 };

static const char probe_content[] = "holdfast condition probe\n";

/* What trip 1 brings. Each task fills fields of its own. */
struct findings {
    struct start *start;
    uint64_t newest; /* position of the newest record, 0: none */
    struct key bases[BASES_LISTED];
    size_t bases_count;
    bool has_packs;
    struct chain_listing packs;
    bool probe_made; /* the probe was absent, or the condition is ignored: only a second PUT can tell */
    bool has_identity;
    struct buf identity;
    struct buf head;
    struct buf manifests[BASES_LISTED];
};

static void findings_clear(struct findings *findings)
{
    chain_listing_clear(&findings->packs);
    buf_clear(&findings->identity);
    buf_clear(&findings->head);
    for (size_t at = 0; at < BASES_LISTED; at++)
        buf_clear(&findings->manifests[at]);
}

static bool visit_log(void *context, const struct store_entry *entry, struct err *err)
{
    struct findings *findings = context;
    uint64_t position = 0;

    if (!key_parse_log(entry->key, &position))
        return err_set(err, ERR_CORRUPT,
                       "%s is not a record of holdfast; remove it or correct HOLDFAST_STORE", entry->key);
    if (position > findings->newest)
        findings->newest = position;
    return chain_listing_add(&findings->start->listing, entry);
}

static bool list_log(void *context, struct err *err)
{
    struct findings *findings = context;

    /* The page is that large so that the records behind a base come with it. */
    chain_listing_clear(&findings->start->listing);
    return store_list(findings->start->store, "log/", NULL, LOG_PAGE, visit_log, findings, err);
}

static bool visit_base(void *context, const struct store_entry *entry, struct err *err)
{
    struct findings *findings = context;
    uint64_t position = 0, n = 0;
    struct id owner;

    if (!key_parse_base(entry->key, &position, &owner, &n))
        return err_set(err, ERR_CORRUPT,
                       "%s is not a manifest of holdfast; remove it or correct HOLDFAST_STORE", entry->key);
    if (findings->bases_count < BASES_LISTED)
        findings->bases[findings->bases_count++] = key_base(position, &owner, n);
    return true;
}

static bool list_bases(void *context, struct err *err)
{
    struct findings *findings = context;

    return store_list(findings->start->store, "base/", NULL, BASES_LISTED, visit_base, findings, err);
}

static bool visit_pack(void *context, const struct store_entry *entry, struct err *err)
{
    struct findings *findings = context;

    (void)entry;
    (void)err;
    findings->has_packs = true;
    return true;
}

static bool look_for_packs(void *context, struct err *err)
{
    struct findings *findings = context;

    return store_list(findings->start->store, "pack/", NULL, 1, visit_pack, findings, err);
}

static bool take_pack(void *context, const struct store_entry *entry, struct err *err)
{
    return chain_listing_add(context, entry) ||
           err_set(err, ERR_CORRUPT, "%s is not a pack of holdfast; remove it or correct HOLDFAST_STORE",
                   entry->key);
}

/* In the second trip: what was packed and deleted before log/ was listed has to be among it. */
static bool list_packs(void *context, struct err *err)
{
    struct findings *findings = context;

    chain_listing_clear(&findings->packs);
    return store_list(findings->start->store, "pack/", NULL, PACKS_LISTED, take_pack, &findings->packs, err);
}

static bool get_identity(void *context, struct err *err)
{
    struct findings *findings = context;
    struct err read = {0};

    findings->has_identity = store_get(findings->start->store, IDENTITY_KEY, &findings->identity, &read);
    if (!findings->has_identity && read.code != ERR_NOT_FOUND) {
        *err = read;
        return false;
    }
    return true;
}

/* One PUT of the probe. The retry decorator would hide what is asked here: the very answer to a PUT that must
 * be refused. */
static bool put_probe(const struct start *start, bool *ret_refused, struct err *err)
{
    uint64_t deadline_ms = clock_monotonic_ms() + start->config->start_timeout_ms;

    for (;;) {
        if (store_create(start->config->store, "probe", probe_content, sizeof(probe_content) - 1, err)) {
            *ret_refused = false;
            return true;
        }
        if (err->code == ERR_CONFLICT) {
            *ret_refused = true;
            return true;
        }
        /* 429: R2 allows one write a second to a key. */
        if (err->code != ERR_TRANSIENT || clock_monotonic_ms() >= deadline_ms)
            return err_wrap(err, "probe the store");
        if (!clock_pause(PROBE_PAUSE_MS, start->canceled))
            return err_set(err, ERR_CANCELED, "stopped while waiting");
    }
}

static bool first_probe(void *context, struct err *err)
{
    struct findings *findings = context;
    bool refused = false;

    if (!put_probe(findings->start, &refused, err))
        return false;
    findings->probe_made = !refused;
    return true;
}

static bool second_probe(void *context, struct err *err)
{
    struct findings *findings = context;
    bool refused = false;

    if (!put_probe(findings->start, &refused, err))
        return false;
    findings->start->fencing = refused;
    if (refused || findings->start->config->unsafe_no_fencing)
        return true;
    return err_set(
        err, ERR_CONFIG,
        "HOLDFAST_STORE ignores If-None-Match, so two containers could overwrite each other; use a store "
        "with conditional writes "
        "(S3, R2, MinIO, Ceph), or set HOLDFAST_UNSAFE_NO_FENCING=1 to run without that protection");
}

static bool first_trip(struct findings *findings, struct err *err)
{
    struct task_group group;

    group_init(&group, findings->start->pool, 8);
    group_submit(&group, list_log, findings);
    group_submit(&group, list_bases, findings);
    group_submit(&group, look_for_packs, findings);
    group_submit(&group, first_probe, findings);
    group_submit(&group, get_identity, findings);
    if (!group_wait(&group, err))
        return false;
    findings->start->fencing = !findings->probe_made;
    return true;
}

/* First boot: who makes holdfast.json decides the lineage; a 412 means that another container did, at this
 * very moment. */
static bool put_identity(void *context, struct err *err)
{
    struct findings *findings = context;
    CLEANUP(buf_clearp) struct buf json = BUF_INIT(IDENTITY_SIZE_MAX);
    struct id lineage = id_random();
    struct err put = {0};

    identity_write(&lineage, store_unix_ns(findings->start->store), &json);
    if (store_create(findings->start->store, IDENTITY_KEY, json.bytes, json.size, &put)) {
        findings->start->lineage = lineage;
        return true;
    }
    if (put.code != ERR_CONFLICT) {
        *err = put;
        return err_wrap(err, "create holdfast.json");
    }
    buf_reset(&findings->identity);
    if (!store_get(findings->start->store, IDENTITY_KEY, &findings->identity, err))
        return false;
    return identity_parse(&findings->identity, &findings->start->lineage, err);
}

static bool get_head(void *context, struct err *err)
{
    struct findings *findings = context;
    struct key key = key_log(findings->newest);

    return store_get(findings->start->store, key.text, &findings->head, err);
}

struct manifest_fetch {
    struct findings *findings;
    size_t index;
};

/* A listed manifest may be unannounced, or swept by its owner meanwhile: its absence only means that it isn't
 * here. */
static bool get_manifest(void *context, struct err *err)
{
    CLEANUP(freep) struct manifest_fetch *fetch = context;
    struct findings *findings = fetch->findings;
    struct err read = {0};

    if (store_get(findings->start->store, findings->bases[fetch->index].text,
                  &findings->manifests[fetch->index], &read) ||
        read.code == ERR_NOT_FOUND)
        return true;
    *err = read;
    return false;
}

static bool head_is_remembered(const struct findings *findings)
{
    const struct start *start = findings->start;

    return start->remembered && start->remembered->position == findings->newest &&
           id_equal(&start->remembered->lineage, &start->lineage);
}

static bool second_trip(struct findings *findings, bool with_manifest, struct err *err)
{
    struct start *start = findings->start;
    struct task_group group;
    bool known = head_is_remembered(findings);

    group_init(&group, start->pool, 8);
    if (findings->probe_made)
        group_submit(&group, second_probe, findings);
    if (!findings->has_identity)
        group_submit(&group, put_identity, findings);
    if (findings->newest > 0 && !known)
        group_submit(&group, get_head, findings);
    if (findings->newest > 0 && !known)
        group_submit(&group, list_packs, findings);
    for (size_t at = 0; with_manifest && !known && at < findings->bases_count; at++) {
        struct manifest_fetch *fetch = xmalloc(sizeof(*fetch));
        *fetch = (struct manifest_fetch){findings, at};
        group_submit(&group, get_manifest, fetch);
    }
    if (!group_wait(&group, err))
        return false;
    chain_listing_take(&start->listing, &findings->packs);
    return true;
}

static bool follow_head(struct findings *findings, struct err *err)
{
    struct start *start = findings->start;
    struct record record;
    struct key key;

    log_clear(&start->log);
    log_init(&start->log, start->config->store, start->store, &start->lineage);
    if (findings->newest == 0)
        return true;
    if (head_is_remembered(findings)) {
        log_follow(&start->log, start->remembered, start->remembered_hash);
        return true;
    }
    key = key_log(findings->newest);
    if (!record_decode(findings->head.bytes, findings->head.size, &record, err))
        return err_wrap(err, "%s", key.text);
    if (record.header.position != findings->newest || !id_equal(&record.header.lineage, &start->lineage))
        return err_set(
            err, ERR_CORRUPT,
            "%s does not belong to the lineage of holdfast.json: two stores were mixed in HOLDFAST_STORE",
            key.text);
    log_follow(&start->log, &record.header, &record.hash);
    return true;
}

static bool take_listed_manifest(struct findings *findings, struct err *err)
{
    struct start *start = findings->start;
    const struct base_reference *base = &start->log.newest.base;

    for (size_t at = 0; at < findings->bases_count; at++) {
        if (base->announced == 0 || strcmp(findings->bases[at].text, base->key.text) != 0 ||
            findings->manifests[at].size == 0)
            continue;
        return survey_take_manifest(start, &findings->manifests[at], err);
    }
    return true;
}

static bool survey_once(struct findings *findings, bool with_manifest,
                        bool (*refuse)(void *context, struct err *err), void *context, struct err *err)
{
    struct start *start = findings->start;

    if (!first_trip(findings, err))
        return false;
    start->store_empty = findings->newest == 0 && findings->bases_count == 0 && !findings->has_packs &&
                         !findings->has_identity;
    if (!start->store_empty && !findings->has_identity)
        return err_set(
            err, ERR_CORRUPT,
            "holdfast.json is missing although the store holds records; restore it, or " STORE_REMEDY);
    if (findings->newest == 0 && (findings->bases_count > 0 || findings->has_packs))
        return err_set(err, ERR_CORRUPT,
                       "log/ is empty although base/ or pack/ is not; records were deleted from the store");
    if (findings->has_identity && !identity_parse(&findings->identity, &start->lineage, err))
        return false;
    if (start->store_empty && refuse && !refuse(context, err))
        return false;
    if (!second_trip(findings, with_manifest, err))
        return false;
    return follow_head(findings, err) && take_listed_manifest(findings, err);
}

bool start_survey(struct start *start, bool with_manifest, bool (*refuse)(void *context, struct err *err),
                  void *context, struct err *err)
{
    for (int round = 1;; round++) {
        struct findings findings = {
            .start = start, .identity = BUF_INIT(IDENTITY_SIZE_MAX), .head = BUF_INIT(RECORD_SIZE_MAX)};
        bool surveyed;
        for (size_t at = 0; at < BASES_LISTED; at++)
            findings.manifests[at] = (struct buf)BUF_INIT(MANIFEST_SIZE_MAX);
        surveyed = survey_once(&findings, with_manifest, refuse, context, err);
        findings_clear(&findings);
        if (surveyed)
            return true;
        /* The head may have been packed and deleted since it was listed: list again. */
        if (err->code != ERR_NOT_FOUND)
            return false;
        if (round == SURVEYS_MAX) {
            err->code = ERR_CORRUPT;
            return err_wrap(err, "an object of the store is missing");
        }
    }
}
