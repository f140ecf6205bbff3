#include "snapshot/state.h"

#include "base/fs.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"
#include "tests/unit/record_sample.h"

#include <fcntl.h>
#include <sys/stat.h>

static int open_directory(char path[64])
{
    int fd;

    (void)snprintf(path, 64, "/tmp/state-test-XXXXXX");
    if (!mkdtemp(path))
        return -1;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && mkdirat(fd, ".holdfast", 0700) != 0)
        return -1;
    return fd;
}

/* The header of a record of that kind behind the first one. */
static struct record_header header_of(enum record_kind kind)
{
    struct record_header header = kind == RECORD_BASE ? base_header() : first_header();

    if (kind == RECORD_BASE || kind == RECORD_OPEN)
        return header;
    header.kind = kind;
    header.position = 2;
    header.previous = digest_of("record 1", 8);
    if (kind == RECORD_DATA)
        header.data_position = 2;
    if (kind == RECORD_DRAIN)
        header.draining_until_ns = sample_time_ns + 1;
    if (kind == RECORD_CLOSE)
        memset(header.open_times_ns, 0, sizeof(header.open_times_ns));
    return header;
}

static void check_kind(int fd, enum record_kind kind)
{
    struct state state, found;
    struct err err = {0};

    state_init(&state);
    state_init(&found);
    state.lineage = id_from(7);
    state.confirmed = header_of(kind);
    state.answered = true;
    if (!tap_note(state_save(fd, &state, &err) && state_load(fd, &found, &err), record_kind_name(kind),
                  __FILE__, __LINE__))
        printf("#   %s\n", err.text);
    EXPECT(id_equal(&found.lineage, &state.lineage) && found.answered);
    EXPECT_INT(found.confirmed.kind, kind);
    EXPECT(found.confirmed.position == state.confirmed.position);
    EXPECT(found.confirmed.draining_until_ns == state.confirmed.draining_until_ns);
    state_clear(&state);
    state_clear(&found);
}

TEST(the_newest_record_is_remembered_whatever_its_kind)
{
    char path[64];
    CLEANUP(close_fdp) int fd = open_directory(path);
    struct err err = {0};

    REQUIRE(fd >= 0);
    for (int kind = RECORD_OPEN; kind <= RECORD_PIN; kind++)
        check_kind(fd, (enum record_kind)kind);
    EXPECT_OK(fs_remove_tree(AT_FDCWD, path, &err), &err);
}

TEST(the_folder_is_one_processs_and_can_be_taken_back)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(close_fdp) int first = -1;
    CLEANUP(close_fdp) int second = -1;
    struct err err = {0};
    bool made = false;

    scratch_open(&scratch);
    REQUIRE_OK(state_lock(scratch.fd, &made, &first, &err), &err);
    EXPECT(made);
    EXPECT(!state_lock(scratch.fd, &made, &second, &err));
    EXPECT(err.code == ERR_CONFIG && strstr(err.text, "another holdfast"));
    state_remove_folder(scratch.fd);
    EXPECT(!scratch_exists(scratch.fd, ".holdfast"));
    /* The lock that is still held there is nobody's any more. */
    REQUIRE_OK(state_lock(scratch.fd, &made, &second, &err), &err);
    EXPECT(made);
}

TEST(a_folder_in_which_something_was_begun_stays)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(close_fdp) int fd = -1;
    struct state state;
    struct err err = {0};
    bool made = false;

    scratch_open(&scratch);
    scratch_mkdir(scratch.fd, ".holdfast");
    REQUIRE_OK(state_lock(scratch.fd, &made, &fd, &err), &err);
    EXPECT(!made);
    state_init(&state);
    REQUIRE_OK(state_save(scratch.fd, &state, &err), &err);
    state_remove_folder(scratch.fd);
    EXPECT(scratch_exists(scratch.fd, ".holdfast/state") && scratch_exists(scratch.fd, ".holdfast/lock"));
    state_clear(&state);
}

TAP_MAIN()
