/* The runs of a data record onto a database of 8 pages. Whatever they say, the file keeps to its legal size,
 * and a commit that is taken leaves exactly what it says. No fuzzer finds a hash: the target's is made to fit
 * where only that is wrong. */
#include "tests/fuzz/fuzz.h"

#include "snapshot/apply.h"
#include "snapshot/pagehash.h"

#include "base/fs.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { PAGE = 512, PAGES = 8 };

static struct apply *apply; /* for the life of the process */
static int fd = -1;

static struct apply_target open_target(void)
{
    static uint8_t pages[PAGES * PAGE];
    struct err err = {0};
    bool held;

    if (fd < 0) {
        apply = apply_new();
        fd = memfd_create("database", MFD_CLOEXEC);
        for (size_t at = 0; at < sizeof(pages); at++)
            pages[at] = (uint8_t)(at % 251);
    }
    held = fd >= 0 && ftruncate(fd, 0) == 0 && fs_write_at(fd, pages, sizeof(pages), 0, &err);
    assert(held);
    return (struct apply_target){.fd = fd,
                                 .page_size = PAGE,
                                 .pages = PAGES,
                                 .rolling_hash = pagehash_of(pages, sizeof(pages), PAGE, 1)};
}

static uint64_t file_bytes(void)
{
    struct stat status;
    int outcome = fstat(fd, &status);

    assert(outcome == 0);
    return (uint64_t)status.st_size;
}

/* Once more with a hash that fits, if only that was wrong. */
static bool apply_with_hash(struct apply_target *target, const struct data_run *run, struct err *err)
{
    struct apply_target before = *target;
    uint64_t off;

    if (apply_run(apply, target, run, run->frame, run->frame_size, err))
        return true;
    assert(err->code == ERR_CORRUPT && err->text[0] != '\0');
    if (!strstr(err->text, "do not have the hash"))
        return false;
    off = target->rolling_next ^ target->rolling_due;
    *target = before;
    target->rolling_hash ^= off;
    target->rolling_next ^= off;
    return apply_run(apply, target, run, run->frame, run->frame_size, err);
}

/* False: the record ends here for us. */
static bool apply_section(struct apply_target *target, struct data_section *section)
{
    struct data_run *run = &section->run;
    uint64_t pages_before = target->pages, legal;
    struct err err = {0};
    bool held;

    if (section->kind != DATA_RUN || !run->frame)
        return true;
    held = apply_with_hash(target, run, &err);
    legal = run->pages_after > pages_before ? run->pages_after : pages_before;
    assert(file_bytes() <= legal * PAGE);
    if (held && run->is_last)
        assert(target->pages == run->pages_after && file_bytes() == target->pages * PAGE &&
               target->rolling_hash == run->rolling_hash);
    return held;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = data_reader_new(bytes, size);
    struct apply_target target = open_target();
    struct data_section section;
    struct err err = {0};
    bool end = false;

    while (data_next(reader, &section, &end, &err) && !end)
        if (!apply_section(&target, &section))
            break;
    return 0;
}
