#include "tests/double/changing.h"

#include "tests/double/replica.h"
#include "tests/double/scanning.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"

enum { WORKERS = 4 };

void changing_open(struct changing *changing)
{
    struct err err;

    *changing = (struct changing){.mem = store_mem_new(),
                                  .previous = tree_new(),
                                  .moment = {.now_ms = 1000000},
                                  .final = true,
                                  .body_max = CHANGES_BODY_MAX,
                                  .position = 1};
    changing->faulty = store_fault_new(changing->mem);
    scratch_open(&changing->disk);
    scratch_open(&changing->copy);
    if (!pool_open(WORKERS, "test", &changing->pool, &err) ||
        !pending_open(changing->disk.fd, &changing->pending, &err))
        abort();
}

void changing_close(struct changing *changing)
{
    changes_clear(&changing->changes);
    deletions_clear(&changing->deletions);
    tree_free(changing->previous);
    pending_free(changing->pending);
    pool_free(changing->pool);
    scratch_close(&changing->copy);
    scratch_close(&changing->disk);
    store_free(changing->faulty);
    store_free(changing->mem);
}

struct tree *changing_look(struct changing *changing)
{
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    struct err err;

    EXPECT_OK(scan(changing->disk.fd, "", "", &result, &err), &err);
    return MOVE(result.tree);
}

/* What the engine does when the record is confirmed. */
static bool confirm(struct changing *changing)
{
    struct changes *changes = &changing->changes;

    if (!replica_apply(changing->copy.fd, changing->mem, changes->sections.bytes, changes->sections.size))
        return false;
    pending_settle(changing->pending, changes->after);
    tree_free(changing->previous);
    changing->previous = MOVE(changes->after);
    changing->position++;
    return true;
}

bool changing_ship_seen(struct changing *changing, struct tree *now, struct err *err)
{
    CLEANUP(tree_freep) struct tree *seen = now;
    struct changes_request request = {
        .store = changing->faulty,
        .pool = changing->pool,
        .tag = changing->position + 1,
        .previous = changing->previous,
        .now = seen,
        .pending = changing->pending,
        .deletions = &changing->deletions,
        .moment = changing->final ? NULL : &changing->moment,
        .databases = changing->databases,
        .databases_count = changing->databases_count,
        .directory_fd = changing->disk.fd,
        .database_names = changing->database_names,
        .body_max = changing->body_max,
    };

    changes_clear(&changing->changes);
    if (!changes_collect(&request, &changing->changes, err))
        return false;
    return confirm(changing) || err_set(err, ERR_CORRUPT, "the replica can't follow");
}

bool changing_ship(struct changing *changing, struct err *err)
{
    return changing_ship_seen(changing, changing_look(changing), err);
}

bool changing_is_equal(struct changing *changing)
{
    return replica_equals(changing->copy.fd, changing->disk.fd, NULL, NULL) &&
           replica_is_listed(changing->copy.fd, changing->previous);
}
