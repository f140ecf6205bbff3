/* What proves after a crash that the local database contains the state that was shipped, and what does not.
 * Detaching changes no file, so for the files it is the crash of the one who follows; the application is
 * killed for real. */
#include "base/buf.h"
#include "base/fs.h"
#include "snapshot/database.h"
#include "snapshot/wal_file.h"
#include "tests/double/scene.h"
#include "tests/double/script.h"
#include "tests/tap.h"

#include <fcntl.h>

/* What a state file would hold. */
struct shipped {
    struct database_mark mark;
    uint64_t hash;
    int64_t value;
};

static void ship(struct database *database, struct shipped *shipped)
{
    struct err err = {0};

    EXPECT_OK(scene_freeze(database, &err), &err);
    EXPECT_OK(sample_copy_frozen(database, sample_path("shipped"), &err), &err);
    shipped->value = sample_value(sample_path("shipped"));
    shipped->hash = sample_hash_frozen(database);
    database_mark(database, &shipped->mark);
    database_thaw(database);
    EXPECT(shipped->value > 0);
}

/* An application at 200 Hz that has been shipped once. */
static bool begin(struct scene *scene, struct shipped *shipped)
{
    if (!scene_begin(scene, 200, 3000) || !writer_wait(&scene->writer, 30))
        return false;
    ship(scene->database, shipped);
    return true;
}

/* The same with an application that has stopped: all of what was shipped is in the file. */
static bool begin_at_rest(struct scene *scene, struct shipped *shipped, unsigned commits)
{
    if (!scene_begin(scene, 200, 3000) || !writer_wait(&scene->writer, commits) ||
        !writer_stop(&scene->writer))
        return false;
    ship(scene->database, shipped);
    return true;
}

static uint32_t salt_of_log(void)
{
    CLEANUP(close_fdp) int fd = open(sample_path("db-wal"), O_RDONLY | O_CLOEXEC);
    uint8_t bytes[WAL_FILE_HEADER_SIZE];
    struct wal_file_header header = {0};
    struct err err = {0};

    EXPECT_OK(fs_read_at(fd, bytes, sizeof(bytes), 0, &err) && wal_file_parse_header(bytes, &header, &err),
              &err);
    return header.salt[0];
}

/* Cuts off what earlier logs have left behind the end of the newest one. */
static void cut_remnants(uint32_t page_size)
{
    CLEANUP(close_fdp) int fd = open(sample_path("db-wal"), O_RDWR | O_CLOEXEC);
    uint32_t salt = salt_of_log(), frame = 1;
    struct wal_frame_header header = {.salt = {salt, 0}};
    uint8_t bytes[WAL_FRAME_HEADER_SIZE];
    struct err err = {0};

    for (; header.salt[0] == salt; frame++) {
        REQUIRE_OK(fs_read_at(fd, bytes, sizeof(bytes), wal_file_frame_offset(frame, page_size), &err), &err);
        wal_file_parse_frame(bytes, &header);
    }
    REQUIRE(ftruncate(fd, (off_t)wal_file_frame_offset(frame - 1, page_size)) == 0);
}

static bool commit_and_tend(struct scene *scene, unsigned commits)
{
    for (unsigned commit = 0; commit < commits; commit++)
        if (!writer_wait(&scene->writer, 1) || !database_tend(scene->database, &scene->err))
            return false;
    return true;
}

static void crash(struct scene *scene)
{
    database_detach(MOVE(scene->database));
    writer_kill(&scene->writer);
}

static enum database_proof prove(const struct shipped *shipped)
{
    CLEANUP(database_detachp) struct database *database = NULL;
    enum database_proof proof = DATABASE_UNPROVEN;
    struct err err = {0};

    EXPECT_OK(scene_attach(sample_path("db"), &database, &err), &err);
    EXPECT_OK(database && database_prove(database, &shipped->mark, &proof, &err), &err);
    return proof;
}

static bool hash_matches(const struct shipped *shipped)
{
    return sample_hash_file(sample_path("db")) == shipped->hash;
}

/* The state is kept only if it is proven, by the log or by the hash. */
static bool is_kept(const struct shipped *shipped)
{
    enum database_proof proof = prove(shipped);

    return proof == DATABASE_PROVEN || proof == DATABASE_PROVEN_SAME ||
           (proof == DATABASE_PROVABLE_BY_HASH && hash_matches(shipped));
}

TEST(without_a_mark_nothing_is_proven)
{
    struct shipped none = {0};

    REQUIRE(writer_make(sample_path("db"), 5, NULL));
    EXPECT_INT(prove(&none), DATABASE_UNPROVEN);
}

TEST(the_log_that_was_shipped_is_proof)
{
    struct scene scene;
    struct shipped shipped;

    REQUIRE(begin_at_rest(&scene, &shipped, 30));
    database_detach(scene.database);
    EXPECT(shipped.mark.frame > 0);
    EXPECT_INT(prove(&shipped), DATABASE_PROVEN_SAME);
    /* The machine went down: the wal-index is built from the log. */
    REQUIRE(unlink(sample_path("db-shm")) == 0);
    EXPECT_INT(prove(&shipped), DATABASE_PROVEN_SAME);
}

/* A mark is held while the state is frozen, as it is when commits are too quick: the log goes on without a
 * restart. */
TEST(a_log_that_went_on_after_what_was_shipped_is_proof)
{
    struct scene scene;
    struct shipped shipped;
    struct writer reader = {0};
    struct writer_plan plan;

    REQUIRE(scene_begin(&scene, 200, 3000) && writer_wait(&scene.writer, 30));
    REQUIRE(writer_stop(&scene.writer));
    plan = scene.plan;
    plan.idle = true;
    (void)snprintf(plan.then, sizeof(plan.then), "BEGIN; SELECT count(*) FROM entry");
    REQUIRE(writer_start(&reader, &plan));
    ship(scene.database, &shipped);
    REQUIRE(writer_start(&scene.writer, &scene.plan) && writer_wait(&scene.writer, 5));
    crash(&scene);
    writer_kill(&reader);
    EXPECT_INT(prove(&shipped), DATABASE_PROVEN);
}

TEST(a_log_that_restarted_after_shipping_is_proof_if_that_was_noted)
{
    struct scene scene;
    struct shipped shipped;

    REQUIRE(begin(&scene, &shipped));
    REQUIRE(commit_and_tend(&scene, 5));
    database_mark(scene.database, &shipped.mark);
    crash(&scene);
    EXPECT_INT(prove(&shipped), DATABASE_PROVEN);
    EXPECT(sample_value(sample_path("db")) >= shipped.value + 5);
}

/* Its first frames were overwritten, the marked one was not. Without what is left of the log before, the hash
 * is. */
TEST(a_log_that_restarted_before_that_was_noted_is_proof_by_what_is_left_of_the_one_before)
{
    struct scene scene;
    struct shipped shipped;

    REQUIRE(begin_at_rest(&scene, &shipped, 30));
    REQUIRE(writer_start(&scene.writer, &scene.plan));
    REQUIRE(commit_and_tend(&scene, 5));
    crash(&scene);
    EXPECT_INT(prove(&shipped), DATABASE_PROVEN);
    cut_remnants(shipped.mark.page_size);
    EXPECT_INT(prove(&shipped), DATABASE_PROVABLE_BY_HASH);
    EXPECT(hash_matches(&shipped));
}

/* The frame is gone, but the log that overwrote it is known, and a shorter one has followed it. */
TEST(a_log_that_restarted_twice_is_proof_by_what_is_left_of_the_one_between)
{
    struct scene scene;
    struct shipped shipped;
    struct script reader;
    uint32_t salt;

    REQUIRE(begin_at_rest(&scene, &shipped, 2));
    REQUIRE(writer_start(&scene.writer, &scene.plan));
    REQUIRE(commit_and_tend(&scene, 3)); /* restarts */
    script_start(&reader, sample_path("db"));
    REQUIRE(script_run(&reader, "BEGIN; SELECT count(*) FROM entry") && commit_and_tend(&scene, 100));
    REQUIRE(writer_stop(&scene.writer));
    database_mark(scene.database, &shipped.mark);
    script_stop(&reader);
    salt = shipped.mark.tail_salt[0];
    EXPECT(salt != shipped.mark.salt[0]);
    REQUIRE_OK(scene_freeze(scene.database, &scene.err), &scene.err); /* all of it is in the file */
    database_thaw(scene.database);
    REQUIRE(writer_start(&scene.writer, &scene.plan) && writer_wait(&scene.writer, 3));
    crash(&scene);
    EXPECT(salt_of_log() == salt + 1);
    EXPECT_INT(prove(&shipped), DATABASE_PROVEN);
    /* The control: without what is left of it nothing is known. */
    cut_remnants(shipped.mark.page_size);
    EXPECT(!is_kept(&shipped));
}

TEST(the_proof_follows_the_log_through_many_restarts)
{
    struct scene scene;
    struct shipped shipped;
    unsigned restarts = 0;

    REQUIRE(scene_begin(&scene, 200, 20000) && writer_wait(&scene.writer, 5));
    ship(scene.database, &shipped);
    while (restarts < 5) {
        uint32_t salt = shipped.mark.tail_salt[1];
        REQUIRE(commit_and_tend(&scene, 1));
        database_mark(scene.database, &shipped.mark);
        restarts += shipped.mark.tail_salt[1] != salt;
    }
    crash(&scene);
    EXPECT_INT(prove(&shipped), DATABASE_PROVEN);
}

TEST(an_application_that_closed_well_leaves_the_hash)
{
    struct scene scene;
    struct shipped shipped;

    REQUIRE(begin_at_rest(&scene, &shipped, 30));
    database_detach(scene.database);
    REQUIRE(writer_make(scene.path, 0, NULL)); /* opens, closes as the last one: the log is gone */
    EXPECT(!sample_exists(sample_path("db-wal")));
    EXPECT_INT(prove(&shipped), DATABASE_PROVABLE_BY_HASH);
    EXPECT(hash_matches(&shipped));
}

/* holdfast is killed; the application checkpoints and restarts its log by itself, and is killed then. */
TEST(an_application_that_went_on_alone_is_proven_until_it_overwrites_the_frame)
{
    struct scene scene;
    struct shipped shipped;
    struct script reader;

    REQUIRE(scene_begin(&scene, 100, 3000) && writer_wait(&scene.writer, 100));
    script_start(&reader, sample_path("db")); /* so that the log goes on behind what is shipped */
    REQUIRE(script_run(&reader, "BEGIN; SELECT count(*) FROM entry") && writer_wait(&scene.writer, 2));
    ship(scene.database, &shipped);
    EXPECT(shipped.mark.frame > 200);
    database_detach(MOVE(scene.database));
    script_stop(&reader);
    while (salt_of_log() == shipped.mark.salt[0]) /* up to some 1000 frames */
        REQUIRE(writer_wait(&scene.writer, 1));
    writer_kill(&scene.writer);
    EXPECT_INT(prove(&shipped), DATABASE_PROVEN);
    EXPECT(sample_value(sample_path("db")) > shipped.value + 20);
}

TEST(an_application_that_went_on_alone_is_not_proven)
{
    struct scene scene;
    struct shipped shipped;

    REQUIRE(begin(&scene, &shipped));
    database_detach(MOVE(scene.database));
    REQUIRE(writer_wait(&scene.writer, 800)); /* more than 1000 frames: it checkpoints and restarts the log */
    writer_kill(&scene.writer);
    EXPECT(!is_kept(&shipped));
}

/* Copies content into the file as it is, as `cp` does: the inode stays. */
static void put_back(const char *from, const char *to)
{
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(64 << 20);
    CLEANUP(close_fdp) int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct err err = {0};

    EXPECT_OK(fs_read_file(AT_FDCWD, from, &contents, &err), &err);
    EXPECT_OK(fs_write_all(fd, contents.bytes, contents.size, &err), &err);
}

static void set_back(const char *database, const char *log)
{
    put_back(database, sample_path("db"));
    put_back(log, sample_path("db-wal"));
    REQUIRE(unlink(sample_path("db-shm")) == 0);
}

TEST(a_disk_set_back_to_before_is_not_proven)
{
    struct scene scene;
    struct shipped shipped;

    REQUIRE(scene_begin(&scene, 200, 3000) && writer_wait(&scene.writer, 30));
    crash(&scene);
    put_back(sample_path("db"), sample_path("old"));
    put_back(sample_path("db-wal"), sample_path("old-log"));
    REQUIRE(begin(&scene, &shipped));
    crash(&scene);
    EXPECT(is_kept(&shipped));
    set_back(sample_path("old"), sample_path("old-log"));
    EXPECT(!is_kept(&shipped));
    /* Going on from there, the log restarts as often as the other did: the counting half of the salts is no
     * proof. */
    set_back(sample_path("old"), sample_path("old-log"));
    REQUIRE(begin(&scene, &(struct shipped){0}));
    REQUIRE(commit_and_tend(&scene, 10));
    crash(&scene);
    EXPECT(!is_kept(&shipped));
}

TEST(another_file_with_the_same_content_leaves_the_hash)
{
    struct scene scene;
    struct shipped shipped;

    REQUIRE(begin_at_rest(&scene, &shipped, 30));
    database_detach(scene.database);
    put_back(sample_path("db"), sample_path("other"));
    REQUIRE(rename(sample_path("other"), sample_path("db")) == 0);
    EXPECT_INT(prove(&shipped), DATABASE_PROVABLE_BY_HASH);
    EXPECT(hash_matches(&shipped));
}

TEST(another_page_size_or_length_is_not_proven)
{
    struct scene scene;
    struct shipped shipped, other;

    REQUIRE(begin_at_rest(&scene, &shipped, 30));
    database_detach(scene.database);
    other = shipped;
    other.mark.page_size *= 2;
    EXPECT_INT(prove(&other), DATABASE_UNPROVEN);
    other = shipped;
    other.mark.inode++;
    EXPECT_INT(prove(&other), DATABASE_PROVABLE_BY_HASH);
    other.mark.page_count++;
    EXPECT_INT(prove(&other), DATABASE_UNPROVEN);
}

TAP_MAIN()
