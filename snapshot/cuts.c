#include "snapshot/cuts.h"

#include <assert.h>
#include <string.h>

static void remove_cut(struct cuts *cuts, size_t at)
{
    state_point_clear(&cuts->list[at].point);
    memmove(&cuts->list[at], &cuts->list[at + 1], (cuts->count - at - 1) * sizeof(cuts->list[0]));
    cuts->count--;
}

void cuts_clear(struct cuts *cuts)
{
    while (cuts->count > 0)
        remove_cut(cuts, cuts->count - 1);
}

/* The newest stays: it is what a record takes when all is well. Of the others goes the one without which the
 * piece that is no longer cut is smallest. */
static void drop_one(struct cuts *cuts)
{
    uint64_t smallest = UINT64_MAX, before = 0;
    size_t dropped = 0;

    for (size_t at = 0; at + 1 < cuts->count; at++) {
        uint64_t piece = cuts->list[at + 1].end - before;
        if (piece < smallest) {
            smallest = piece;
            dropped = at;
        }
        before = cuts->list[at].end;
    }
    remove_cut(cuts, dropped);
}

void cuts_add(struct cuts *cuts, struct cut *cut)
{
    struct cut *newest = cuts->count > 0 ? &cuts->list[cuts->count - 1] : NULL;

    assert(!newest || (cut->end >= newest->end && cut->position >= newest->position));
    if (newest && newest->end == cut->end)
        remove_cut(cuts, cuts->count - 1);
    if (cuts->count == CUTS_MAX)
        drop_one(cuts);
    cuts->list[cuts->count++] = *cut;
    cut->point = (struct state_point){0};
}

struct cut *cuts_choose(struct cuts *cuts, uint64_t end)
{
    if (cuts->count == 0)
        return NULL;
    for (size_t at = cuts->count; at > 1; at--)
        if (cuts->list[at - 1].end <= end)
            return &cuts->list[at - 1];
    return &cuts->list[0];
}

void cuts_release(struct cuts *cuts, uint64_t end)
{
    while (cuts->count > 0 && cuts->list[0].end <= end)
        remove_cut(cuts, 0);
}
