/* Runs a fuzz target over its seeds, as a TAP program: what the fuzzer once found stays found, with any
 * compiler and any sanitizer, in a second. The program's own name says which seeds: fuzz_record reads
 * tests/fuzz/corpus/record/.
 *
 * Each seed is also cut off after each of its bytes (in steps, for long ones), since a read past the end is
 * what parsers of lengths get wrong; every input sits in an allocation of exactly its size so that ASan sees
 * that read. */
#include "tests/fuzz/fuzz.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

enum { SEED_SIZE_MAX = 16 * 1024 * 1024, CUTS_MAX = 512 };

static void feed(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    if (!exact)
        abort();
    if (size > 0)
        memcpy(exact, bytes, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void feed_with_cuts(const uint8_t *bytes, size_t size)
{
    size_t step = size / CUTS_MAX + 1;

    for (size_t cut = 0; cut < size; cut += step)
        feed(bytes, cut);
    feed(bytes, size);
}

static bool replay_seed(int directory_fd, const char *name)
{
    CLEANUP(buf_clearp) struct buf seed = BUF_INIT(SEED_SIZE_MAX);
    struct err err = {0};

    if (!fs_read_file(directory_fd, name, &seed, &err)) {
        printf("# %s\n", err.text);
        return false;
    }
    feed_with_cuts(seed.bytes, seed.size);
    return true;
}

static int keep_files(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int count, char **arguments)
{
    const char *slash = strrchr(arguments[0], '/');
    const char *target = slash ? slash + 1 : arguments[0];
    CLEANUP(freep) char *path = xasprintf("tests/fuzz/corpus/%s", target + strlen("fuzz_"));
    CLEANUP(close_fdp) int directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent **seeds = NULL;
    int failed = 0;
    int seeds_count = scandir(path, &seeds, keep_files, alphasort);

    (void)count;
    (void)setvbuf(stdout, NULL, _IOLBF,
                  0); /* so that the seed that crashes is known: the one after the last */
    if (seeds_count <= 0) {
        printf("1..1\nnot ok 1 - there are seeds in %s\n", path);
        return EXIT_FAILURE;
    }
    printf("1..%d\n", seeds_count);
    for (int at = 0; at < seeds_count; at++) {
        bool held = replay_seed(directory_fd, seeds[at]->d_name);
        failed += !held;
        printf("%sok %d - %s\n", held ? "" : "not ", at + 1, seeds[at]->d_name);
        free(seeds[at]);
    }
    free(seeds);
    return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
