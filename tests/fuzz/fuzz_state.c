/* State files: what a crash, a full disk or another release has left. What is taken for whole obeys the rules
 * that a start relies on, and what it says comes back when it is written and read again. No fuzzer finds a
 * hash: each input is also read with the one that fits. */
#include "tests/fuzz/fuzz.h"

#include "snapshot/state.h"
#include "tests/fuzz/reseal.h"

#include <assert.h>
#include <string.h>

static void check_point(const struct state_point *point)
{
    for (size_t at = 0; at < point->databases_count; at++)
        assert(state_mark_of(point, point->databases[at].path));
}

static void check_gone(const struct gone_list *gone)
{
    assert(gone->count <= GONE_MAX && memchr(gone->boot, '\0', sizeof(gone->boot)));
    for (size_t at = 0; at < gone->count; at++) {
        const struct gone_database *database = &gone->databases[at];
        assert(database->incarnation != 0 && database->was.inode != 0);
        assert(gone_has(gone, database->path, database->incarnation));
    }
}

static void write_again(const struct state *state, struct buf *bytes)
{
    buf_reset(bytes);
    state_encode(state, bytes);
    assert(!bytes->overflowed);
}

static void check(const uint8_t *bytes, size_t size)
{
    CLEANUP(buf_clearp) struct buf first = BUF_INIT(STATE_SIZE_MAX), second = BUF_INIT(STATE_SIZE_MAX);
    struct state state, again;
    struct err err = {0};
    bool read;

    if (!state_decode(bytes, size, &state, &err)) {
        assert(err.code == ERR_CORRUPT && err.text[0] != '\0');
        return;
    }
    check_point(&state.shipped);
    check_point(&state.sending);
    check_gone(&state.gone);
    write_again(&state, &first);
    read = state_decode(first.bytes, first.size, &again, &err);
    assert(read);
    write_again(&again, &second);
    assert(first.size == second.size && memcmp(first.bytes, second.bytes, first.size) == 0);
    state_clear(&again);
    state_clear(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    CLEANUP(freep) uint8_t *sealed = reseal(bytes, size);

    check(bytes, size);
    check(sealed, size);
    return 0;
}
