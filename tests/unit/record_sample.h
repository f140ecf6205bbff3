/* The record of golden/record.hex, and the smallest one. */
#ifndef TESTS_UNIT_RECORD_SAMPLE_H
#define TESTS_UNIT_RECORD_SAMPLE_H

#include "snapshot/record.h"

#include <string.h>

static const uint64_t sample_time_ns = UINT64_C(1700000000) * 1000000000;

static inline struct id id_from(uint8_t first)
{
    struct id id;

    for (size_t at = 0; at < ID_SIZE; at++)
        id.bytes[at] = (uint8_t)(first + at);
    return id;
}

/* The base record of golden/record.hex: at 42, of a base at 41. */
static inline struct record_header base_header(void)
{
    struct id owner = id_from(0xf0);

    return (struct record_header){
        .kind = RECORD_BASE,
        .lineage = id_from(0),
        .owner = owner,
        .epoch = 40,
        .position = 42,
        .time_ns = sample_time_ns,
        .previous = digest_of("record 41", 9),
        .data_position = 38,
        .base = {.position = 41,
                 .announced = 42,
                 .manifest = digest_of("manifest", 8),
                 .key = key_base(41, &owner, 7)},
        .horizon = 17,
        .open_times_ns = {sample_time_ns - UINT64_C(1000000000), sample_time_ns - UINT64_C(60000000000)},
        .roll_back = {POINT_RECORD, 9},
    };
}

static struct blob_name sample_dropped[2];
static struct pin sample_pins[1];
static char sample_pin_name[] = "before-upgrade";

static inline struct base_body base_body(void)
{
    struct record_header header = base_header();

    sample_dropped[0] = (struct blob_name){5, digest_of("a", 1)};
    sample_dropped[1] = (struct blob_name){6, digest_of("b", 1)};
    sample_pins[0] = (struct pin){12, sample_pin_name};
    return (struct base_body){
        .lowest_position = 39,
        .position = 41,
        .manifest = header.base.manifest,
        .key = header.base.key,
        .manifest_bytes = 123456,
        .previous_base = 17,
        .horizon = 17,
        .state_bytes = 987654321,
        .dropped = sample_dropped,
        .dropped_count = 2,
        .pins = sample_pins,
        .pins_count = 1,
    };
}

/* An open at 1, in a store without anything. */
static inline struct record_header first_header(void)
{
    return (struct record_header){
        .kind = RECORD_OPEN,
        .lineage = id_from(0),
        .owner = id_from(0xf0),
        .epoch = 1,
        .position = 1,
        .time_ns = sample_time_ns,
        .open_times_ns = {sample_time_ns},
    };
}

static inline struct digest encode_base(struct buf *bytes)
{
    CLEANUP(buf_clearp) struct buf content = BUF_INIT(RECORD_SIZE_MAX);
    struct record_header header = base_header();
    struct base_body body = base_body();
    struct digest hash;

    base_body_encode(&body, &content);
    record_encode(&header, content.bytes, content.size, bytes, &hash);
    return hash;
}

#endif
