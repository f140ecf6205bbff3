/* What data records speak of: the parts with their bulk, and the blobs of large files. A record says what it
 * wants of an object, which is claimed while the record is read and looked at later, when nobody needs the
 * record's bytes any more: so objects of many records are fetched beside each other, each once, and only one
 * of the two is in memory. */
#include "snapshot/reader_verify.h"

#include "base/thread.h"
#include "snapshot/blob.h"
#include "snapshot/data_body.h"

#include <assert.h>
#include <string.h>

/* Of memory: a claim counts with all that proving it takes. */
enum { FETCHERS = 8, BATCH_BYTES = 24 << 20 };

/* One object and what it has to be. */
struct claim {
    struct verification *verification;
    bool is_part;
    struct blob_name blob;
    uint64_t position, n; /* of a part's key */
    struct id owner;
    uint64_t bytes;        /* of a part; of a piece of a file, uncompressed */
    struct digest content; /* hash of these bytes */
    struct err *why;       /* it isn't; NULL: all is well */
};

static struct key key_of(const struct claim *claim)
{
    return claim->is_part ? key_part(claim->position, &claim->owner, claim->n)
                          : key_blob(claim->blob.tag, &claim->blob.content);
}

void claims_clear(struct claims *claims)
{
    free(claims->list);
    *claims = (struct claims){0};
}

/* --- while records are read -------------------------------------------------------------------------- */

static void add_claim(struct verification *verification, const struct claim *claim)
{
    struct claims *claims = &verification->claims;
    bool is_full = (claims->count & (claims->count - 1)) == 0;

    if (is_full)
        claims->list = xrealloc(claims->list, (claims->count > 0 ? 2 * claims->count : 1) * sizeof(*claim));
    claims->list[claims->count] = *claim;
    claims->list[claims->count++].verification = verification;
}

static void claim_bulk(struct verification *verification, const struct record_header *header,
                       const struct data_bulk *bulk)
{
    add_claim(verification, &(struct claim){.is_part = true,
                                            .position = header->position,
                                            .owner = header->owner,
                                            .n = bulk->n,
                                            .bytes = bulk->size,
                                            .content = bulk->hash});
}

/* A blob that is put at or below the horizon may have been dropped again there. */
static void claim_put(struct verification *verification, const struct record_header *header,
                      const struct data_put *put)
{
    const struct tree_piece *pieces;

    if (put->entry->content != CONTENT_PIECES || header->position <= verification->horizon)
        return;
    pieces = tree_pieces(put->tree, put->entry);
    for (uint32_t at = 0; at < put->entry->extra; at++)
        if (pieces[at].tag != 0)
            add_claim(verification, &(struct claim){.blob = {pieces[at].tag, pieces[at].content},
                                                    .bytes = pieces[at].raw_bytes,
                                                    .content = pieces[at].content});
}

static void note_dropped(struct verification *verification, const struct record_header *header,
                         const struct data_dropped *dropped)
{
    struct blob_names names = {.list = xcalloc(dropped->count, sizeof(names.list[0])),
                               .count = dropped->count};

    for (size_t at = 0; at < dropped->count; at++)
        names.list[at] = data_dropped_name(dropped, at);
    if (header->position <= verification->horizon)
        blob_names_merge(&verification->dead, &names);
    blob_names_clear(&names);
}

static void take_section(struct verification *verification, const struct record_header *header,
                         const struct data_section *section)
{
    switch (section->kind) {
    case DATA_BULK:
        claim_bulk(verification, header, &section->bulk);
        return;
    case DATA_PUT:
        claim_put(verification, header, &section->put);
        return;
    case DATA_DROPPED:
        note_dropped(verification, header, &section->dropped);
        return;
    case DATA_RUN:
    case DATA_GONE:
    case DATA_DATABASE_GONE:
    case DATA_ATTRIBUTES:
        return;
    }
}

bool verification_claim(struct verification *verification, const struct record *record, struct err *err)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = NULL;
    struct data_section section;
    bool end = false;

    if (record->header.kind != RECORD_DATA)
        return true;
    reader = data_reader_new(record->body, record->body_size);
    while (data_next(reader, &section, &end, err)) {
        if (end)
            return true;
        take_section(verification, &record->header, &section);
    }
    return false;
}

/* --- afterwards -------------------------------------------------------------------------------------- */

/* Parts first, then blobs; the same ones side by side. */
static int compare(const void *left, const void *right)
{
    const struct claim *one = left, *other = right;

    if (one->is_part != other->is_part)
        return one->is_part ? -1 : 1;
    if (one->is_part)
        return one->position != other->position ? (one->position < other->position ? -1 : 1)
                                                : (one->n > other->n) - (one->n < other->n);
    if (one->blob.tag != other->blob.tag)
        return one->blob.tag < other->blob.tag ? -1 : 1;
    return memcmp(one->blob.content.bytes, other->blob.content.bytes, HASH_SIZE);
}

/* Leaves what has to be looked at: no part that nothing needs, no blob that was read already, none twice. */
static void choose(struct verification *verification)
{
    struct claims *claims = &verification->claims;
    struct blob_names proved = {0};
    size_t kept = 0;

    if (claims->count > 1)
        qsort(claims->list, claims->count, sizeof(claims->list[0]), compare);
    for (size_t at = 0; at < claims->count; at++) {
        const struct claim claim = claims->list[at];
        if (claim.is_part
                ? claim.position <= verification->lowest
                : blob_names_has(&verification->proved, &claim.blob) || blob_names_has(&proved, &claim.blob))
            continue;
        if (!claim.is_part)
            blob_names_add(&proved, &claim.blob);
        claims->list[kept++] = claim;
    }
    claims->count = kept;
    blob_names_merge(&verification->proved, &proved);
}

static bool prove_part(const struct claim *claim, const struct buf *bytes, struct err *err)
{
    struct digest hash = digest_of(bytes->bytes, bytes->size);

    return (bytes->size == claim->bytes && digest_equal(&hash, &claim->content)) ||
           err_set(err, ERR_CORRUPT, "it is damaged: its hash is not the one in the record");
}

static bool prove_blob(const struct claim *claim, const struct buf *bytes, struct err *err)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(buf_clearp) struct buf raw = BUF_INIT(TREE_PIECE_SIZE);

    return blob_decode(codec, bytes, &claim->content, (uint32_t)claim->bytes, &raw, err);
}

static bool prove(void *context, struct err *err)
{
    struct claim *claim = context;
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(claim->is_part ? claim->bytes : BLOB_SIZE_MAX);
    struct key key = key_of(claim);
    struct err why = {0};

    (void)err;
    if (store_get(claim->verification->store, key.text, &bytes, &why) &&
        (claim->is_part ? prove_part(claim, &bytes, &why) : prove_blob(claim, &bytes, &why)))
        return true;
    claim->why = xmalloc(sizeof(*claim->why));
    *claim->why = why;
    return true;
}

static bool judge(struct claim *claim, struct err *err)
{
    CLEANUP(freep) struct err *why = claim->why;

    claim->why = NULL;
    if (!why) {
        claim->verification->result.objects++;
        return true;
    }
    if (verification_finds(claim->verification, key_of(claim).text, why))
        return true;
    *err = *why;
    return false;
}

/* From the claim `first` on, as many as may be in memory at once: an object, and what a blob becomes. */
static size_t batch_of(const struct claims *claims, size_t first)
{
    uint64_t bytes = 0;
    size_t end = first;

    while (end < claims->count && (end == first || bytes <= BATCH_BYTES)) {
        bytes += claims->list[end].is_part ? claims->list[end].bytes : 2 * claims->list[end].bytes;
        end += end == first || bytes <= BATCH_BYTES;
    }
    return end - first;
}

static uint64_t bytes_of(const struct claims *claims, size_t first, size_t end)
{
    uint64_t bytes = 0;

    for (size_t at = first; at < end; at++)
        bytes += claims->list[at].bytes;
    return bytes;
}

static bool settle_batch(struct claims *claims, size_t first, size_t count, struct pool *pool,
                         struct err *err)
{
    struct task_group group;
    bool settled;

    group_init(&group, pool, FETCHERS);
    for (size_t at = first; at < first + count; at++)
        group_submit(&group, prove, &claims->list[at]);
    settled = group_wait(&group, err);
    for (size_t at = first; at < first + count; at++) {
        struct err ignored = {0};
        settled = judge(&claims->list[at], settled ? err : &ignored) && settled;
    }
    return settled;
}

bool verification_settle(struct verification *verification, struct pool *pool, struct err *err)
{
    const atomic_bool *canceled = verification->canceled;
    struct claims *claims = &verification->claims;

    choose(verification);
    for (size_t at = 0, count; at < claims->count; at += count) {
        count = batch_of(claims, at);
        verification_report(verification, 0, bytes_of(claims, at, claims->count));
        if (!settle_batch(claims, at, count, pool, err))
            return false;
        verification->bytes_read += bytes_of(claims, at, at + count);
        if (canceled && atomic_load(canceled))
            return err_set(err, ERR_CANCELED, "the verification was stopped");
    }
    claims_clear(claims);
    return true;
}
