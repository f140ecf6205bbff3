/* The names of objects (docs/FORMAT.md, Keys). Positions are inverted, so that the newest sorts first and one
 * LIST finds the head. */
#ifndef SNAPSHOT_KEY_H
#define SNAPSHOT_KEY_H

#include "snapshot/digest.h"
#include "snapshot/wire.h"

enum { KEY_SIZE = 160 };

struct key {
    char text[KEY_SIZE];
};

/* Positions and tags begin at 1, and first is not above last (asserted). */
struct key key_log(uint64_t position);
struct key key_base(uint64_t position, const struct id *owner, uint64_t n);
struct key key_part(uint64_t position, const struct id *owner, uint64_t n);
struct key key_blob(uint64_t tag, const struct digest *content);
struct key key_pack(uint64_t first, uint64_t last);

/* The other way; false if the text is not such a key to the letter. */
bool key_parse_log(const char *text, uint64_t *ret_position);
bool key_parse_base(const char *text, uint64_t *ret_position, struct id *ret_owner, uint64_t *ret_n);
bool key_parse_part(const char *text, uint64_t *ret_position, struct id *ret_owner, uint64_t *ret_n);
bool key_parse_blob(const char *text, uint64_t *ret_tag, struct digest *ret_content);
bool key_parse_pack(const char *text, uint64_t *ret_first, uint64_t *ret_last);

/* 32 lower-case hexadecimal digits. */
void id_format(const struct id *id, char text[2 * ID_SIZE + 1]);
bool id_parse(const char *text, struct id *ret_id);
/* From the kernel's random source; aborts if there is none. */
struct id id_random(void);
bool id_equal(const struct id *left, const struct id *right);

#endif
