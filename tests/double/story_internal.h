/* What the files of story.h share. */
#ifndef TESTS_DOUBLE_STORY_INTERNAL_H
#define TESTS_DOUBLE_STORY_INTERNAL_H

#include "tests/double/story.h"

/* The frames of a record that go into a part. */
struct story_bulk {
    struct buf object;
    uint32_t frames;
};

/* Aborts with the text. */
void story_must(bool held, const struct err *err);
/* Below the limit. */
uint64_t story_random(struct story *story, uint64_t limit);
void story_random_bytes(struct story *story, uint8_t *bytes, size_t size);
uint8_t *story_copy(const void *bytes, size_t size);

size_t story_database_bytes(const struct story_database *database);
uint64_t story_hash(const struct story_database *database);
struct story_state story_copy_state(const struct story_state *state);
void story_clear_state(struct story_state *state);
void story_clear_file(struct story_file *file);
/* Keeps what is now as the state after the newest record. */
void story_remember(struct story *story);

/* Some commits, the end or the beginning of a database; bulk NULL: frames lie in the body. */
void story_change_database(struct story *story, int index, struct story_bulk *bulk, struct buf *body);
/* One of `rarely` files, on average. */
void story_change_files(struct story *story, uint64_t rarely, struct buf *body);
/* Adds the file to a tree, as a manifest would have it; its inline content is the caller's. */
struct tree_entry *story_add_entry(struct tree *tree, int index, const struct story_file *file);

void story_begin_part(struct buf *object);
struct digest story_store_part(struct story *story, uint64_t position, uint64_t n, struct buf *object,
                               uint32_t frames);

#endif
