/* Runs that are damaged or forged: none is taken, and none reaches outside of the file. */
#include "tests/unit/apply_stand.h"

/* A stand of 20 pages and a commit to 24 pages, cut into a first run of 5 pages and the rest. */
struct damage {
    struct stand stand;
    struct commit commit;
    struct buf frames[2];
    struct data_run runs[2];
};

static void damage_clearp(struct damage *damage)
{
    stand_closep(&damage->stand);
    commit_clearp(&damage->commit);
    buf_clear(&damage->frames[0]);
    buf_clear(&damage->frames[1]);
}

static void damage_make(struct damage *damage, uint32_t pages_after)
{
    *damage = (struct damage){.frames = {BUF_INIT(DELTA_FRAME_MAX), BUF_INIT(DELTA_FRAME_MAX)}};
    stand_open(&damage->stand, 1024);
    grow_to(&damage->stand, 20);
    damage->commit = commit_make(&damage->stand, pages_after, 1);
    damage->runs[0] = run_of(&damage->stand, &damage->commit, 0, 5, &damage->frames[0]);
    damage->runs[1] =
        run_of(&damage->stand, &damage->commit, 5, damage->commit.count - 5, &damage->frames[1]);
    legal_bytes = (uint64_t)(pages_after > 20 ? pages_after : 20) * 1024;
}

static bool apply_one(struct damage *damage, int at, struct err *err)
{
    const struct data_run *run = &damage->runs[at];

    return apply_run(damage->stand.apply, &damage->stand.target, run, run->frame, run->frame_size, err);
}

static void expect_refused(struct damage *damage, int at, const char *text)
{
    struct err err = {0};

    EXPECT(!apply_one(damage, at, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    if (!EXPECT(strstr(err.text, text)))
        printf("#   \"%s\" has no \"%s\"\n", err.text, text);
    EXPECT(file_bytes(&damage->stand) <= legal_bytes);
    EXPECT_INT(damage->stand.target.pages, 20);
}

static void expect_applied(struct damage *damage, int at)
{
    struct err err = {0};

    EXPECT_OK(apply_one(damage, at, &err), &err);
}

#define DAMAGE(name, pages_after)                    \
    CLEANUP(damage_clearp) struct damage name = {0}; \
    damage_make(&name, (pages_after))

TEST(what_is_not_damaged_is_applied)
{
    DAMAGE(damage, 24);
    expect_applied(&damage, 0);
    expect_applied(&damage, 1);
    settle(&damage.stand, &damage.commit);
}

TEST(a_run_of_another_page_size_is_refused)
{
    DAMAGE(damage, 24);
    damage.runs[0].page_size = 512;
    expect_refused(&damage, 0, "pages of 512 bytes for a database of 1024");
}

TEST(the_runs_of_a_commit_belong_together)
{
    DAMAGE(size, 24);
    DAMAGE(hash, 24);
    expect_applied(&size, 0);
    size.runs[1].pages_after++;
    legal_bytes += 1024;
    expect_refused(&size, 1, "a run of another commit");
    expect_applied(&hash, 0);
    hash.runs[1].rolling_hash++;
    expect_refused(&hash, 1, "a run of another commit");
}

TEST(no_page_comes_twice_in_a_commit)
{
    DAMAGE(twice, 24);
    DAMAGE(backwards, 24);
    expect_applied(&twice, 0);
    expect_refused(&twice, 0, "page 1 after page 5");
    backwards.runs[1].is_last = false;
    expect_applied(&backwards, 1);
    backwards.runs[0].is_last = true;
    expect_refused(&backwards, 0, "page 1 after page 24");
}

TEST(no_page_that_a_commit_adds_may_be_missing)
{
    DAMAGE(end, 24);
    DAMAGE(gap, 24);
    DAMAGE(far, 24);
    expect_applied(&end, 0);
    end.runs[1].count--;
    expect_refused(&end, 1, "ends at page 23 of a database of 24");
    gap.commit.pages[21]++; /* page 22 */
    gap.commit.pages[22]++;
    gap.runs[1].count = 18;
    expect_applied(&gap, 0);
    expect_refused(&gap, 1, "adds page 23 without");
    far.commit.pages[5] = UINT32_C(4294967294);
    far.runs[1].pages_after = far.runs[0].pages_after = UINT32_C(4294967294);
    far.runs[1].count = 1;
    expect_applied(&far, 0);
    expect_refused(&far, 1, "adds page 4294967294 without");
}

TEST(the_hash_is_compared_at_the_last_run)
{
    DAMAGE(wrong, 24);
    DAMAGE(shrunk, 10);
    wrong.runs[0].rolling_hash ^= 1;
    wrong.runs[1].rolling_hash ^= 1;
    expect_applied(&wrong, 0);
    expect_refused(&wrong, 1, "do not have the hash that a commit says");
    shrunk.runs[0].rolling_hash ^= 1;
    shrunk.runs[1].rolling_hash ^= 1;
    expect_applied(&shrunk, 0);
    expect_refused(&shrunk, 1, "do not have the hash that a commit says");
    EXPECT_INT(file_bytes(&shrunk.stand), 20 * 1024); /* and nothing was cut */
}

TEST(previous_images_that_differ_in_one_bit_are_found)
{
    DAMAGE(damage, 24);
    uint8_t byte = 0;
    struct err err = {0};

    expect_applied(&damage, 0);
    REQUIRE_OK(fs_read_at(damage.stand.target.fd, &byte, 1, 7 * 1024 + 3, &err), &err);
    byte ^= 0x10;
    REQUIRE_OK(fs_write_at(damage.stand.target.fd, &byte, 1, 7 * 1024 + 3, &err), &err);
    expect_refused(&damage, 1, "hash");
}

TEST(what_is_cut_off_counts_too)
{
    DAMAGE(damage, 10);
    struct err err = {0};

    expect_applied(&damage, 0);
    REQUIRE_OK(fs_write_at(damage.stand.target.fd, "other", 5, 19 * 1024, &err), &err);
    expect_refused(&damage, 1, "hash");
}

TEST(a_file_that_is_shorter_than_its_manifest_says_is_refused)
{
    DAMAGE(damage, 24);

    if (ftruncate(damage.stand.target.fd, 4 * 1024 + 1) != 0)
        abort();
    expect_refused(&damage, 0, "page 1: ");
}

/* Back to before the commit. */
static void damage_undo(struct damage *damage, const struct apply_target *target)
{
    struct err err = {0};

    damage->stand.target = *target;
    EXPECT_OK(fs_write_at(target->fd, damage->stand.model, 20 * 1024, 0, &err), &err);
    EXPECT_INT(ftruncate(target->fd, 20 * 1024), 0);
}

TEST(no_bit_of_a_frame_can_be_changed_and_give_other_pages)
{
    DAMAGE(damage, 24);
    const struct apply_target target = damage.stand.target;

    for (size_t bit = 0; bit < 8 * damage.runs[1].frame_size; bit++) {
        struct err err = {0};
        damage_undo(&damage, &target);
        expect_applied(&damage, 0);
        damage.frames[1].bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (!apply_one(&damage, 1, &err))
            EXPECT_INT(err.code, ERR_CORRUPT);
        else /* a bit without a meaning to zstd */
            expect_file(&damage.stand, damage.commit.after);
        damage.frames[1].bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TAP_MAIN()
