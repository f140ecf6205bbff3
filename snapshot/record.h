/* A record: one immutable object of the log (docs/FORMAT.md, Record).
 *
 * The header says everything that a claimant must know, so that it needs no record but the head. Encoding is
 * deterministic: the same struct gives the same bytes, and the bytes are kept, never encoded again, once they
 * were sent (the frozen-bytes rule of the log). Pure functions; any thread. */
#ifndef SNAPSHOT_RECORD_H
#define SNAPSHOT_RECORD_H

#include "snapshot/key.h"
#include "snapshot/point.h"

enum record_kind {
    RECORD_OPEN = 1,
    RECORD_DATA = 2,
    RECORD_BASE = 3,
    RECORD_DRAIN = 4,
    RECORD_CLOSE = 5,
    RECORD_PIN = 6,
};

enum { RECORD_OPENS = 4, RECORD_SIZE_MAX = 16 << 20 };

/* The newest announced base as every record repeats it. All zero: none. */
struct base_reference {
    uint64_t position;  /* P */
    uint64_t announced; /* position of the base record */
    struct digest manifest;
    struct key key;
};

struct record_header {
    enum record_kind kind;
    struct id lineage;
    struct id owner;
    uint64_t epoch;
    uint64_t position;
    uint64_t time_ns;
    uint64_t key_id;
    struct digest previous;
    uint64_t data_position;
    struct base_reference base;
    uint64_t horizon;
    uint64_t draining_until_ns;
    uint64_t open_times_ns[RECORD_OPENS];
    struct point roll_back; /* the one that was carried out last, as it was asked for */
};

/* A record as read: the body points into the bytes it was parsed from. */
struct record {
    struct record_header header;
    const uint8_t *body;
    size_t body_size;
    struct digest hash;
    const uint8_t *bytes; /* the whole object */
    size_t size;
};

/* Appends the whole object to *bytes and gives its hash. body_size at most RECORD_SIZE_MAX - 4096 (asserted).
 * A header that record_decode() would refuse, or a buf without room, aborts: what was written could never be
 * read. */
void record_encode(const struct record_header *header, const void *body, size_t body_size, struct buf *bytes,
                   struct digest *ret_hash);

/* Checks magic, version, lengths, hash and the header's own rules (kind known, epoch ≤ position, an open's
 * epoch is its position, base fields all zero or all set, announced ≤ position …). ERR_CORRUPT otherwise; a
 * higher version says so and names the remedy (a newer holdfast). */
bool record_decode(const void *bytes, size_t size, struct record *ret_record, struct err *err) CHECKED;

/* "open", "data", … Static. */
const char *record_kind_name(enum record_kind kind);

struct blob_name {
    uint64_t tag;
    struct digest content;
};

enum { BASE_RESTARTS = 1 };

struct pin {
    uint64_t position;
    char *name;
};

/* The body of a base record. */
struct base_body {
    uint32_t flags;
    uint64_t lowest_position; /* S */
    uint64_t position;        /* P */
    struct digest manifest;
    struct key key;
    uint64_t manifest_bytes;
    uint64_t previous_base; /* position of the base record before, 0: none */
    uint64_t horizon;
    uint64_t state_bytes;
    uint64_t taken_from; /* the record whose state a roll-back has brought back; 0: this is none */
    struct blob_name *dropped;
    size_t dropped_count;
    struct pin *pins;
    size_t pins_count;
};

void base_body_encode(const struct base_body *body, struct buf *bytes);
/* ERR_CORRUPT. The caller clears *ret_body. */
bool base_body_decode(const void *bytes, size_t size, struct base_body *ret_body, struct err *err) CHECKED;
void base_body_clear(struct base_body *body);
/* Decodes the body of a base record (asserted) and checks that it and the header say the same: base, key,
 * hash, horizon and roll-back, and that it changes data exactly if it restarts. ERR_CORRUPT. The caller
 * clears *ret_body. */
bool record_base_body(const struct record *record, struct base_body *ret_body, struct err *err) CHECKED;

struct open_body {
    char version[64];
    char host[256];
};

/* Longer texts are cut. */
void open_body_encode(const char *version, const char *host, struct buf *bytes);
bool open_body_decode(const void *bytes, size_t size, struct open_body *ret_body, struct err *err) CHECKED;

void drain_body_encode(uint64_t until_ns, struct buf *bytes);
bool drain_body_decode(const void *bytes, size_t size, uint64_t *ret_until_ns, struct err *err) CHECKED;

#endif
