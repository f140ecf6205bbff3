#include "tests/double/reading.h"

#include "snapshot/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BIG_SIZE = 50000 };

bool reading_fill(struct life *life)
{
    static char big[BIG_SIZE];

    life->config.snapshot_interval_ms = 0; /* several bases are wanted */
    if (!life_begin(life))
        return false;
    engine_answered(life->engine);
    for (int version = 1; version <= 3; version++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "version %d", version);
        memset(big, 'a' + version, sizeof(big));
        scratch_write_bytes(life->disk.fd, "big", big, sizeof(big));
        scratch_write(life->disk.fd, "text", text);
        if (!life_commit(life, 2) || !life_settle(life))
            return false;
    }
    return life_end(life) == ENGINE_DONE;
}

static void note_damage(void *context, const char *key, const char *reason)
{
    struct damages *damages = context;

    (void)reason;
    (void)snprintf(damages->keys[damages->count++ % 32], STORE_KEY_MAX + 1, "%s", key);
}

bool damages_name(const struct damages *damages, const char *key)
{
    for (size_t at = 0; at < damages->count; at++)
        if (strcmp(damages->keys[at], key) == 0)
            return true;
    printf("# %s is not among %zu:", key, damages->count);
    for (size_t at = 0; at < damages->count; at++)
        printf(" %s", damages->keys[at]);
    printf("\n");
    return false;
}

bool damages_find(struct store *store, struct damages *damages, struct err *err)
{
    struct reader_damage damage = {note_damage, damages};
    struct reader_result result;

    *damages = (struct damages){.count = 0};
    return reader_verify(store, &damage, NULL, NULL, &result, err);
}

static bool take_key(void *context, const struct store_entry *entry, struct err *err)
{
    struct some_key *key = context;

    (void)err;
    if (key->skip > 0)
        key->skip--;
    else if (!key->text[0])
        (void)snprintf(key->text, sizeof(key->text), "%s", entry->key);
    return true;
}

struct some_key key_below(struct store *store, const char *prefix, size_t skip)
{
    struct some_key key = {.skip = skip};
    struct err err = {0};

    if (!store_list(store, prefix, NULL, 0, take_key, &key, &err))
        abort();
    return key;
}
