/* The one thing that two threads share here is whether a database file stands still. Its owner may have to
 * let it move on at any moment: the log has grown too long, the file was deleted, the application wants it
 * for itself. So each read asks first, under a lock that the owner takes to forbid all further ones. A page
 * that was read under it is of the frozen state for certain, and without it none is read: a torn base can't
 * come about, only one that fails. */
#include "snapshot/base_job.h"

#include "base/clock.h"
#include "snapshot/store/config.h"

#include <assert.h>
#include <string.h>

enum {
    REQUEST_MS = 60000, /* for one request, again and again: nobody waits for it */
    NUMBERS = 1 << 24,  /* more than a base has parts of 4 MiB */
};

struct base_job {
    struct log at; /* the newest record, and nothing else of it */
    struct id owner;
    struct manifest origin; /* where the contents of the tree have been so far; the tree is the request's */
    struct base_database *databases;
    uint64_t *rolling_hashes; /* that the log says of them */
    struct store *store;      /* with retry */
    struct store *once;       /* without */
    uint64_t first_n;         /* of NUMBERS that are its own */
    _Atomic uint64_t next_n;
    struct base_request request;
    int event_fd;
    pthread_t thread;
    atomic_bool canceled;
    atomic_bool leaves; /* what it has stored, to the next owner: there is no time left */
    _Atomic uint64_t unread_bytes;

    pthread_rwlock_t lock; /* guards what follows: held for reading while a page is read */
    bool may_read;

    struct base_result result; /* and these are for after the end */
    struct err err;
    bool succeeded;
    atomic_bool over;
};

static bool read_pages(const struct base_request *request, size_t database, uint64_t offset, void *bytes,
                       size_t size, struct err *err)
{
    struct base_job *job = request->read_context;
    bool read;

    pthread_rwlock_rdlock(&job->lock);
    read = job->may_read ? database_read_frozen(job->databases[database].database, offset, bytes, size, err)
                         : err_set(err, ERR_CANCELED, "it had to be thawed before all of it was read");
    pthread_rwlock_unlock(&job->lock);
    if (read && atomic_fetch_sub(&job->unread_bytes, size) == size)
        event_raise(job->event_fd);
    return read;
}

/* The pages were frozen at the state that the log has led to; if they hash to anything else, one of both is
 * wrong. */
static bool check_hashes(const struct base_job *job, struct err *err)
{
    const struct manifest *manifest = &job->result.manifest;

    for (size_t at = 0; at < manifest->databases_count; at++)
        if (manifest->databases[at].rolling_hash != job->rolling_hashes[at])
            return err_set(err, ERR_CORRUPT, "%s is not what was shipped of it",
                           manifest->databases[at].path);
    return true;
}

/* Nobody has heard of it, and the numbers are this job's alone: another base may be cut at the same position
 * meanwhile. A PUT that is still on its way may land afterwards; the next owner finds that. */
static void remove_stored(const struct base_job *job)
{
    const struct key *manifest = &job->result.reference.key;
    uint64_t end = atomic_load(&job->next_n);
    struct err ignored = {0};
    bool removed = !manifest->text[0] || store_delete(job->once, manifest->text, &ignored);

    assert(end - job->first_n <= NUMBERS);
    for (uint64_t n = job->first_n; removed && n < end && !atomic_load(&job->leaves); n++)
        removed = store_delete(job->once, key_part(job->at.newest.position, &job->owner, n).text, &ignored);
}

static void *run(void *context)
{
    struct base_job *job = context;

    job->succeeded = base_fill(&job->request, &job->result, &job->err) && check_hashes(job, &job->err);
    if (!job->succeeded && !atomic_load(&job->leaves))
        remove_stored(job);
    atomic_store(&job->over, true);
    event_raise(job->event_fd);
    return NULL;
}

static void copy_state(struct base_job *job, const struct base_job_plan *plan)
{
    const struct manifest *state = plan->state;

    assert(plan->databases_count == state->databases_count);
    job->origin = (struct manifest){.position = state->position, .owner = state->owner};
    for (size_t at = 0; at < state->parts_count; at++)
        manifest_add_part(&job->origin, &state->parts[at]);
    for (size_t at = 0; at < state->frames_count; at++)
        manifest_add_frame(&job->origin, state->frames[at].stored_bytes, state->frames[at].raw_bytes);
    job->origin.tree = tree_copy(state->tree);
    job->databases = xcalloc(plan->databases_count, sizeof(job->databases[0]));
    job->rolling_hashes = xcalloc(plan->databases_count, sizeof(job->rolling_hashes[0]));
    for (size_t at = 0; at < plan->databases_count; at++) {
        assert(strcmp(plan->databases[at].path, state->databases[at].path) == 0);
        job->databases[at] = plan->databases[at];
        job->rolling_hashes[at] = state->databases[at].rolling_hash;
    }
}

static void fill_request(struct base_job *job, const struct base_job_plan *plan)
{
    job->request = (struct base_request){
        .store = job->store,
        .pool = plan->pool,
        .canceled = &job->canceled,
        .directory_fd = plan->directory_fd,
        .log = &job->at,
        .owner = &job->owner,
        .next_n = &job->next_n,
        .databases = job->databases,
        .databases_count = plan->databases_count,
        .read_pages = read_pages,
        .read_context = job,
        .tree = job->origin.tree,
        .previous = &job->origin,
        .repeats = true,
    };
}

static bool begin(struct base_job *job, const struct base_job_plan *plan, struct err *err)
{
    uint64_t bytes = 0;

    if (!base_begin(&job->request, &job->result, err))
        return false;
    for (size_t at = 0; at < plan->databases_count; at++) {
        struct manifest_database *entry = &job->result.manifest.databases[at];
        if (entry->pages != plan->state->databases[at].pages)
            return err_set(err, ERR_CORRUPT, "%s has %llu pages, and %llu were shipped", entry->path,
                           (unsigned long long)entry->pages,
                           (unsigned long long)plan->state->databases[at].pages);
        bytes += entry->pages * entry->page_size;
    }
    atomic_store(&job->unread_bytes, bytes);
    return true;
}

static void clear(struct base_job *job)
{
    job->origin.tree = NULL; /* the result's */
    manifest_clear(&job->origin);
    manifest_clear(&job->result.manifest);
    free(job->databases);
    free(job->rolling_hashes);
    store_free(job->store);
    pthread_rwlock_destroy(&job->lock);
    free(job);
}

bool base_job_start(const struct base_job_plan *plan, struct base_job **ret_job, struct err *err)
{
    struct base_job *job = xcalloc(1, sizeof(*job));

    pthread_rwlock_init(&job->lock, NULL);
    job->may_read = true;
    job->at = (struct log){.newest = plan->log->newest, .newest_hash = plan->log->newest_hash};
    job->owner = *plan->owner;
    job->event_fd = plan->event_fd;
    job->once = plan->store;
    job->store = store_retry(plan->store, REQUEST_MS, &job->canceled);
    job->first_n = atomic_fetch_add(plan->next_n, NUMBERS);
    atomic_store(&job->next_n, job->first_n);
    copy_state(job, plan);
    fill_request(job, plan);
    if (!begin(job, plan, err) || !thread_start(&job->thread, "base", run, job, err)) {
        clear(job);
        return false;
    }
    *ret_job = job;
    return true;
}

void base_job_free(struct base_job *job)
{
    if (!job)
        return;
    base_job_leave(job);
    pthread_join(job->thread, NULL);
    clear(job);
}

bool base_job_reads(const struct base_job *job, const struct database *database)
{
    for (size_t at = 0; at < job->request.databases_count; at++)
        if (job->databases[at].database == database)
            return true;
    return false;
}

bool base_job_has_read(const struct base_job *job)
{
    return atomic_load(&job->unread_bytes) == 0 || atomic_load(&job->over);
}

void base_job_stop_reading(struct base_job *job)
{
    pthread_rwlock_wrlock(&job->lock);
    job->may_read = false;
    pthread_rwlock_unlock(&job->lock);
}

void base_job_cancel(struct base_job *job)
{
    atomic_store(&job->canceled, true);
    base_job_stop_reading(job);
}

void base_job_leave(struct base_job *job)
{
    atomic_store(&job->leaves, true);
    base_job_cancel(job);
}

bool base_job_is_over(const struct base_job *job)
{
    return atomic_load(&job->over);
}

bool base_job_result(struct base_job *job, struct base_result **ret_result, struct err *err)
{
    assert(base_job_is_over(job));
    if (!job->succeeded) {
        *err = job->err;
        return false;
    }
    *ret_result = &job->result;
    return true;
}
