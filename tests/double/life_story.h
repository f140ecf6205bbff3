/* Short ways to tell what happens to lives, and what they find. */
#ifndef TESTS_DOUBLE_LIFE_STORY_H
#define TESTS_DOUBLE_LIFE_STORY_H

#include "base/buf.h"
#include "snapshot/reader.h"
#include "tests/double/life.h"

/* A life that ships so many more commits and a file `text` that says so, and ends well. */
bool life_live(struct life *life, uint64_t commits, const char *text);
/* Whether a file of the disk has this content. */
bool life_says(struct life *life, const char *path, const char *text);
/* The start is refused in one sentence that has this word in it. */
bool life_refuses(struct life *life, enum err_code code, const char *word);
bool life_warned(const struct life *life, const char *word);
/* Whether a file of that content was set aside, in whichever folder. */
bool life_is_aside(struct life *life, const char *name, const char *text);

/* The points that a store offers, the newest first. */
struct life_points {
    uint64_t records[1000];
    size_t count;
};

bool life_list_points(struct store *store, struct life_points *ret_points, struct err *err) CHECKED;

#endif
