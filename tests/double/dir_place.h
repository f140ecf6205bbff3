/* A directory store in a scratch directory of its own, for the tests of that driver. */
#ifndef TESTS_DOUBLE_DIR_PLACE_H
#define TESTS_DOUBLE_DIR_PLACE_H

#include "snapshot/store/config.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

struct place {
    struct scratch scratch;
    char directory[96]; /* does not exist before the store is opened */
    struct store *store;
};

static inline struct store *open_directory_store(const char *directory, const atomic_bool *canceled)
{
    CLEANUP(freep) char *copy = xstrdup(directory);
    const struct store_config config = {.kind = STORE_DIRECTORY, .directory = copy};
    struct store *store = NULL;
    struct err err = {0};

    EXPECT_OK(store_open(&config, canceled, NULL, &store, &err), &err);
    return store;
}

static inline void place_open(struct place *place)
{
    scratch_open(&place->scratch);
    (void)snprintf(place->directory, sizeof(place->directory), "%s/new/store", place->scratch.path);
    place->store = open_directory_store(place->directory, NULL);
}

static inline void place_close(struct place *place)
{
    store_free(place->store);
    scratch_close(&place->scratch);
}

#define PLACE()                                                                          \
    __attribute__((cleanup(place_close))) struct place place = {0};                      \
    CLEANUP(buf_clearp) __attribute__((unused)) struct buf contents = BUF_INIT(1 << 20); \
    struct err err = {0};                                                                \
    place_open(&place)

#endif
