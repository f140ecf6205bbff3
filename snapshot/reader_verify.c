/* Verification reads every object back that a restorable point needs, and proves it as a restore would,
 * without writing.
 *
 * One damaged object must not hide the next, so the work goes on and what was found is told at the end. An
 * object that is missing may have been pruned under our hands: it counts only if a plan that was listed after
 * the failure needs it too, and it fails again (protocol.md, P8). Blobs that several bases name are read
 * once. */
#include "snapshot/reader_verify.h"

#include "base/clock.h"
#include "snapshot/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void findings_clear(struct findings *findings)
{
    for (size_t at = 0; at < findings->count; at++) {
        free(findings->list[at].key);
        free(findings->list[at].reason);
    }
    free(findings->list);
    *findings = (struct findings){0};
}

static bool has_finding(const struct findings *findings, const char *key)
{
    for (size_t at = 0; at < findings->count; at++)
        if (strcmp(findings->list[at].key, key) == 0)
            return true;
    return false;
}

void verification_note(void *context, const char *key, const char *reason)
{
    struct findings *findings = &((struct verification *)context)->findings;

    findings->list = xrealloc(findings->list, (findings->count + 1) * sizeof(findings->list[0]));
    findings->list[findings->count++] = (struct finding){xstrdup(key), xstrdup(reason)};
}

bool verification_finds(struct verification *verification, const char *key, const struct err *why)
{
    size_t size = strlen(key);

    if (why->code != ERR_CORRUPT && why->code != ERR_NOT_FOUND)
        return false;
    /* Most texts begin with the key. */
    verification_note(verification, key,
                      strncmp(why->text, key, size) == 0 && strncmp(why->text + size, ": ", 2) == 0
                          ? why->text + size + 2
                          : why->text);
    return true;
}

/* An error that begins with the key of the object; true. */
static bool note_error(struct verification *verification, const struct err *why)
{
    const char *colon = strstr(why->text, ": ");
    CLEANUP(freep) char *key = colon ? strndup(why->text, (size_t)(colon - why->text)) : xstrdup("log/");

    verification_note(verification, key, colon ? colon + 2 : why->text);
    return true;
}

void verification_report(struct verification *verification, uint64_t done, uint64_t total)
{
    const struct reader_progress *progress = verification->progress;
    uint64_t before = verification->bytes_read, now_ms = clock_monotonic_ms();

    if (!progress || now_ms - verification->reported_ms < READER_REPORT_EVERY_MS)
        return;
    verification->reported_ms = now_ms;
    progress->report(progress->context, before + done, before + total + verification->bytes_ahead);
}

static bool all_proved(const struct verification *verification, struct tree *tree,
                       const struct tree_entry *entry)
{
    const struct tree_piece *pieces = tree_pieces(tree, entry);

    for (uint32_t piece = 0; piece < entry->extra; piece++) {
        struct blob_name name = {pieces[piece].tag, pieces[piece].content};
        if (name.tag != 0 && !blob_names_has(&verification->proved, &name))
            return false;
    }
    return true;
}

static bool verify_content(struct verification *verification, const struct manifest *manifest,
                           struct err *err)
{
    size_t count = tree_count(manifest->tree);
    CLEANUP(freep) bool *known = xcalloc(count, sizeof(known[0]));
    struct restore_kept kept = {.entries = known};
    struct restore_damage damage = {verification_note, verification};
    CLEANUP(restore_freep) struct restore *restore = NULL;
    struct blob_names names;

    for (size_t at = 0; at < count; at++) {
        const struct tree_entry *entry = tree_at(manifest->tree, at);
        known[at] = entry->content == CONTENT_PIECES && all_proved(verification, manifest->tree, entry);
    }
    if (!restore_open(verification->store, manifest, &kept, &damage, verification->canceled, &restore, err) ||
        !restore_release(restore, NULL, err) ||
        !reader_run(restore, verification->progress, verification->bytes_read, 0, err))
        return false;
    names = blob_names_of(manifest->tree);
    blob_names_merge(&verification->proved, &names);
    verification->result.objects += restore_objects(restore);
    verification->bytes_read += manifest_state_bytes(manifest);
    return true;
}

static bool verify_base(void *context, const struct reader_base *base, struct err *err)
{
    struct verification *verification = context;
    struct manifest manifest;
    struct err why = {0};
    bool verified;

    verification->lowest = base->body.lowest_position;
    verification->next = base->body.previous_base;
    if (!reader_load_manifest(verification->store, base, &manifest, &why)) {
        if (verification_finds(verification, base->body.key.text, &why))
            return true;
        *err = why;
        return false;
    }
    verification->result.objects++;
    verified = verify_content(verification, &manifest, err);
    manifest_clear(&manifest);
    return verified;
}

/* *ret_damage: the first base record that is damaged or missing, if there is one. */
static bool verify_bases(struct verification *verification, const struct reader_head *head,
                         struct err *ret_damage, struct err *err)
{
    struct err why = {0};

    verification->next = head->header.base.announced;
    if (reader_walk(verification->store, head, verify_base, verification, &why))
        return true;
    if (why.code != ERR_CORRUPT) {
        *err = why;
        return false;
    }
    *ret_damage = why;
    if (verification->next >= head->header.horizon) /* the oldest that counts could not be read */
        verification->lowest = head->header.horizon > 0 ? head->header.horizon - 1 : 0;
    return true;
}

/* What a record at or below the horizon dropped may be gone, although the base at the horizon, which stands
 * before that record, still names it. */
static void forget_dead(struct findings *findings, const struct blob_names *dead)
{
    size_t kept = 0;

    for (size_t at = 0; at < findings->count; at++) {
        struct finding finding = findings->list[at];
        struct blob_name name;
        if (key_parse_blob(finding.key, &name.tag, &name.content) && blob_names_has(dead, &name)) {
            free(finding.key);
            free(finding.reason);
        } else {
            findings->list[kept++] = finding;
        }
    }
    findings->count = kept;
}

static void replayed_clear(struct replayed *replayed)
{
    chain_listing_clear(&replayed->sources);
    *replayed = (struct replayed){.first = 0};
}

/* A record follows from the one before it, and fits the state there. */
static bool note_replayed(void *context, const struct chain *chain, const struct record *record,
                          struct err *err)
{
    struct verification *verification = context;
    uint64_t done, total;

    if (verification->replayed.first == 0) {
        verification->replayed.first = record->header.position;
        verification->replayed.previous = record->header.previous;
    }
    chain_progress(chain, &done, &total);
    verification_report(verification, done, total);
    return verification_claim(verification, record, err);
}

static bool measure_once(struct verification *verification, const struct reader_head *head, struct err *err)
{
    struct reader_plan plan = {0};
    struct reader_replaying how = {verification->canceled, note_replayed, verification};
    struct replayed *replayed = &verification->replayed;

    if (reader_plan_from(verification->store, head, head->header.position, &plan, err) &&
        reader_measure(verification->store, &plan, &how, &verification->result, &replayed->sources, err)) {
        chain_listing_sort(&replayed->sources);
        verification->bytes_read = chain_listing_bytes(&replayed->sources, 0, replayed->sources.count);
        return true;
    }
    replayed_clear(replayed);
    claims_clear(&verification->claims);
    return false;
}

/* What the state at the head is. That also shows whether the records behind the newest base make sense
 * together, which no hash says of them: *ret_why, for now, since an object that can't be read is named more
 * plainly by whoever reads it for its own sake. Done first, as long as nothing is pruned. If all is well
 * these records are proved by it, from the head down, and not read again. */
static bool measure(struct verification *verification, const struct reader_head *head, struct err *ret_why,
                    struct err *err)
{
    struct reader_result *result = &verification->result;

    result->record = head->header.position;
    result->time_ns = head->header.time_ns;
    for (int attempt = 1; head->header.base.announced != 0; attempt++) {
        struct err why = {0};
        if (measure_once(verification, head, &why))
            return true;
        if (why.code == ERR_NOT_FOUND && attempt == 1) /* packed since it was listed */
            continue;
        if (why.code == ERR_CONFIG) /* the base is not there any more */
            (void)err_set(&why, ERR_CORRUPT, "%s: it is missing", key_log(head->header.base.announced).text);
        *(why.code == ERR_CORRUPT || why.code == ERR_NOT_FOUND ? ret_why : err) = why;
        return why.code == ERR_CORRUPT || why.code == ERR_NOT_FOUND;
    }
    return true;
}

/* Bases, records and what they name. */
static bool read_all(struct verification *verification, const struct reader_head *head, struct err *err)
{
    struct err why = {0};
    size_t found;

    verification->lowest = head->header.position; /* of a walk that ends at once nothing is known */
    if (!verify_bases(verification, head, &why, err))
        return false;
    found = verification->findings.count;
    if (!verification_read_log(verification, err))
        return false;
    /* A base record that stops the walk is usually found, and named, among all records. */
    if (why.code != ERR_NONE && verification->findings.count == found)
        verification_note(verification, "log/", why.text);
    forget_dead(&verification->findings, &verification->dead);
    return true;
}

static bool verify_once(struct verification *verification, struct err *err)
{
    struct reader_head head;
    struct err why = {0};

    if (!reader_find_head(verification->store, &head, &why)) {
        if (why.code == ERR_CORRUPT &&
            (strncmp(why.text, "log/", 4) == 0 || strncmp(why.text, IDENTITY_KEY, strlen(IDENTITY_KEY)) == 0))
            return note_error(verification, &why);
        *err = why;
        return false;
    }
    verification->lineage = head.lineage;
    verification->horizon = head.header.horizon;
    if (!measure(verification, &head, &why, err) || !read_all(verification, &head, err))
        return false;
    return why.code == ERR_NONE || verification->findings.count > 0 || note_error(verification, &why);
}

static bool all_known(const struct findings *now, const struct findings *before)
{
    for (size_t at = 0; at < now->count; at++)
        if (!has_finding(before, now->list[at].key))
            return false;
    return true;
}

/* One plan; what it found replaces *findings. */
static bool run(struct verification *verification, struct findings *findings, struct err *err)
{
    bool verified;

    verification->result = (struct reader_result){0};
    verification->bytes_read = verification->bytes_ahead = 0;
    verified = verify_once(verification, err);
    claims_clear(&verification->claims);
    replayed_clear(&verification->replayed);
    blob_names_clear(&verification->proved);
    blob_names_clear(&verification->dead);
    findings_clear(findings);
    *findings = verification->findings;
    verification->findings = (struct findings){0};
    return verified;
}

bool reader_verify(struct store *store, const struct reader_damage *damage,
                   const struct reader_progress *progress, const atomic_bool *canceled,
                   struct reader_result *ret_result, struct err *err)
{
    struct verification verification = {.store = store, .progress = progress, .canceled = canceled};
    CLEANUP(findings_clear) struct findings now = {0}, before = {0};
    struct err failed = {0};
    size_t damaged = 0;
    bool settled = false;

    for (int plan = 1; !settled && plan <= READER_PLANS_MAX; plan++) {
        struct err why = {0};
        findings_clear(&before);
        before = now;
        now = (struct findings){0};
        settled = run(&verification, &now, &why) && all_known(&now, &before);
        if (why.code != ERR_NONE && !reader_looks_again(&failed, &why)) {
            *err = why;
            return false;
        }
    }
    for (size_t at = 0; at < now.count; at++) {
        if (!has_finding(&before, now.list[at].key))
            continue;
        damage->report(damage->context, now.list[at].key, now.list[at].reason);
        damaged++;
    }
    if (damaged > 0)
        return err_set(err, ERR_CORRUPT, "%zu %s of HOLDFAST_STORE %s damaged or missing", damaged,
                       damaged == 1 ? "object" : "objects", damaged == 1 ? "is" : "are");
    if (!settled)
        return err_set(
            err, ERR_TRANSIENT,
            "the owner prunes faster than this can be verified; try again, or raise HOLDFAST_RETENTION");
    *ret_result = verification.result;
    return true;
}
