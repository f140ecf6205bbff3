/* `backend generate`: a database of a given size, quickly, as if the backend had run for a long time. The
 * same seed gives the same documents. It is written without a journal, so a generator that is killed leaves
 * nothing of use. */
#include "tests/backend/blobs.h"
#include "tests/backend/commands.h"
#include "tests/backend/credentials.h"
#include "tests/backend/first_boot.h"
#include "tests/backend/flags.h"
#include "tests/backend/say.h"
#include "tests/backend/writer.h"

#include "base/buf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { BATCH_MUTATIONS = 1000, PIECE = 64 * 1024 };

/* The made-up past begins with 2025; there are at most 100 ms between two mutations. */
#define PAST_BEGINS_NS INT64_C(1735689600000000000)
#define PAST_STEP_MAX_NS INT64_C(100000000)

struct generate_settings {
    const char *data;
    uint64_t bytes, files, file_bytes, seed;
};

struct generator {
    const struct generate_settings *settings;
    struct persistence *persistence;
    struct writer *writer;
    char *path; /* of the database */
    int files_fd;
    uint64_t mutations;
};

const char generate_help[] =
    "usage: backend generate --data DIR --bytes 1GiB\n"
    "  --files N         blobs, each named by the database (0)\n"
    "  --file-bytes B    the size of each (64KiB)\n"
    "  --seed N          (1)\n";

static void generator_close(struct generator *generator)
{
    writer_close(generator->writer);
    persistence_close(generator->persistence);
    free(generator->path);
}

static bool generator_open(struct generator *generator, struct err *err)
{
    const char *data = generator->settings->data;

    generator->path = xasprintf("%s/db.sqlite3", data);
    if (mkdir(data, 0755) != 0 && errno != EEXIST)
        return err_errno(err, "make %s", data);
    if (!credentials_refresh(data, err) || !blobs_open(data, &generator->files_fd, err) ||
        !persistence_open(generator->path, NULL, &generator->persistence, err) ||
        !database_load(generator->persistence, err) ||
        !writer_open(generator->persistence, generator->settings->seed, &generator->writer, err))
        return false;
    writer_pretend(generator->writer, PAST_BEGINS_NS, PAST_STEP_MAX_NS);
    return persistence_hurry(generator->persistence, err);
}

static bool add_batch(struct generator *generator, struct err *err)
{
    char value[64];

    writer_begin(generator->writer);
    for (unsigned at = 0; at < BATCH_MUTATIONS; at++) {
        (void)snprintf(value, sizeof(value), "generated %" PRIu64, ++generator->mutations);
        (void)writer_add_mutation(generator->writer, value);
    }
    return persistence_write(generator->persistence, &generator->writer->batch, err);
}

static bool add_mutations(struct generator *generator, struct err *err)
{
    struct stat status;

    do {
        if (!add_batch(generator, err))
            return false;
        if (stat(generator->path, &status) != 0)
            return err_errno(err, "stat %s", generator->path);
    } while ((uint64_t)status.st_size < generator->settings->bytes);
    return true;
}

/* Half noise, half repetition, piece by piece: neither text nor an archive. */
static bool fill_blob(struct generator *generator, struct blob *blob, struct err *err)
{
    static uint8_t piece[PIECE];

    for (uint64_t left = generator->settings->file_bytes; left > 0;) {
        size_t size = left < PIECE ? (size_t)left : PIECE;
        memset(piece, (int)random_below(&generator->writer->random, 256), sizeof(piece));
        random_fill(&generator->writer->random, piece, PIECE / 2);
        if (!blob_append(blob, piece, size, err))
            return false;
        left -= size;
    }
    return blob_complete(blob, err);
}

static bool add_file(struct generator *generator, struct err *err)
{
    struct blob blob = {0};
    bool stored = blob_create(generator->files_fd, &generator->writer->random, &blob, err) &&
                  fill_blob(generator, &blob, err);

    if (stored) {
        writer_begin(generator->writer);
        writer_add_file(generator->writer, blob.name, blob.sha256, blob.size);
        stored = persistence_write(generator->persistence, &generator->writer->batch, err);
    }
    blob_close(&blob);
    return stored;
}

static bool generate(struct generator *generator, struct err *err)
{
    if (!generator_open(generator, err) || !add_mutations(generator, err))
        return false;
    for (uint64_t at = 0; at < generator->settings->files; at++)
        if (!add_file(generator, err))
            return false;
    return true;
}

int generate_command(int count, char **arguments)
{
    struct generate_settings settings = {.file_bytes = 64 * 1024, .seed = 1};
    struct flag flags[] = {
        {.name = "data", .kind = FLAG_TEXT, .target = &settings.data, .required = true},
        {.name = "bytes", .kind = FLAG_SIZE, .target = &settings.bytes, .required = true},
        {.name = "files", .kind = FLAG_NUMBER, .target = &settings.files},
        {.name = "file-bytes", .kind = FLAG_SIZE, .target = &settings.file_bytes},
        {.name = "seed", .kind = FLAG_NUMBER, .target = &settings.seed},
    };
    struct generator generator = {.settings = &settings, .files_fd = -1};
    struct err err;
    bool done;

    if (!flags_parse(flags, sizeof(flags) / sizeof(flags[0]), count, arguments, &err)) {
        complain("%s", err.text);
        return 2;
    }
    done = generate(&generator, &err);
    if (done)
        printf("{\"mutations\":%" PRIu64 ",\"files\":%" PRIu64 "}\n", generator.mutations, settings.files);
    else
        complain("%s", err.text);
    generator_close(&generator);
    return done ? 0 : 1;
}
