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

/* Positions with marks, and what is gone or not. */
static void fill(struct state *state, uint32_t gone)
{
    char path[32];

    state_init(state);
    state->lineage = id_from(7);
    state->confirmed = header_of(RECORD_DATA);
    state->shipped.position = 12;
    state->shipped.databases = xcalloc(1, sizeof(state->shipped.databases[0]));
    state->shipped.databases[0] = (struct state_database){xstrdup("a.db"), {.inode = 5, .frame = 9}};
    state->shipped.databases_count = 1;
    for (uint32_t at = 0; at < gone; at++) {
        (void)snprintf(path, sizeof(path), "sub/%u.db", at);
        gone_add(&state->gone, path, at + 1, &(struct file_id){at + 100, INT64_MIN + at});
        state->gone.databases[at].now = (struct file_id){at, at};
    }
}

static bool same_file(const struct file_id *one, const struct file_id *other)
{
    return one->inode == other->inode && one->birth_ns == other->birth_ns;
}

static void expect_gone(const struct gone_list *found, const struct gone_list *wanted)
{
    EXPECT_STR(found->boot, wanted->boot);
    REQUIRE(found->count == wanted->count);
    for (size_t at = 0; at < wanted->count; at++) {
        EXPECT_STR(found->databases[at].path, wanted->databases[at].path);
        EXPECT_INT(found->databases[at].incarnation, wanted->databases[at].incarnation);
        EXPECT(same_file(&found->databases[at].was, &wanted->databases[at].was));
        EXPECT(same_file(&found->databases[at].now, &wanted->databases[at].now));
    }
}

TEST(what_is_gone_is_remembered)
{
    static const uint32_t counts[] = {0, 1, 2, GONE_MAX};

    for (size_t at = 0; at < 4; at++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(STATE_SIZE_MAX);
        struct state state, found;
        struct err err = {0};
        fill(&state, counts[at]);
        state_encode(&state, &bytes);
        REQUIRE_OK(state_decode(bytes.bytes, bytes.size, &found, &err), &err);
        expect_gone(&found.gone, &state.gone);
        EXPECT_INT(found.shipped.position, 12);
        EXPECT(state_mark_of(&found.shipped, "a.db") && state_mark_of(&found.shipped, "a.db")->frame == 9);
        state_clear(&found);
        state_clear(&state);
    }
}

static void reseal(struct buf *bytes)
{
    struct digest hash = digest_of(bytes->bytes, bytes->size - HASH_SIZE);

    memcpy(bytes->bytes + bytes->size - HASH_SIZE, hash.bytes, HASH_SIZE);
}

/* Releases that knew nothing of databases that are gone end after the two positions. */
TEST(a_file_of_a_release_before_is_read)
{
    CLEANUP(buf_clearp) struct buf with = BUF_INIT(STATE_SIZE_MAX), without = BUF_INIT(STATE_SIZE_MAX);
    struct state state, found;
    struct err err = {0};

    fill(&state, 2);
    state_encode(&state, &with);
    gone_clear(&state.gone);
    state_encode(&state, &without);
    EXPECT(without.size < with.size &&
           memcmp(with.bytes, without.bytes, without.size - HASH_SIZE) == 0); /* what is new comes behind */
    with.size = without.size;
    reseal(&with);
    REQUIRE_OK(state_decode(with.bytes, with.size, &found, &err), &err);
    EXPECT_INT(found.shipped.position, 12);
    EXPECT_INT(found.gone.count, 0);
    state_clear(&found);
    state_clear(&state);
}

static void expect_refused(const struct buf *bytes)
{
    struct state found;
    struct err err = {0};

    EXPECT(!state_decode(bytes->bytes, bytes->size, &found, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
}

TEST(a_torn_or_damaged_file_is_none)
{
    CLEANUP(buf_clearp) struct buf whole = BUF_INIT(STATE_SIZE_MAX), shorter = BUF_INIT(STATE_SIZE_MAX);
    struct state state;

    fill(&state, 2);
    gone_clear(&state.gone);
    state_encode(&state, &shorter);
    state_clear(&state);
    fill(&state, 2);
    state_encode(&state, &whole);
    state_clear(&state);
    for (size_t size = 0; size < whole.size; size++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(STATE_SIZE_MAX);
        buf_add(&bytes, whole.bytes, size);
        expect_refused(&bytes);
        if (size >= HASH_SIZE && size != shorter.size) { /* which is whole again */
            reseal(&bytes);
            expect_refused(&bytes);
        }
        whole.bytes[size] ^= 1;
        expect_refused(&whole);
        whole.bytes[size] ^= 1;
    }
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
