/* The S3 driver: contract above (store.h), one signed request below.
 *
 * One call of the contract is one request. The exceptions are refusals that we can mend ourselves and that
 * certainly changed nothing: credentials that a platform has renewed in their files since, and a clock that
 * was right at the start and jumped. Those are asked once more. Everything else is for the retry decorator.
 */
#include "snapshot/store/s3.h"

#include "base/clock.h"
#include "snapshot/store/driver.h"
#include "snapshot/store/s3_client.h"
#include "snapshot/store/s3_judge.h"

#include <assert.h>
#include <string.h>

enum { STALL_TIMEOUT_S = 15, URL_SIZE_MAX = 16 * 1024, HEADERS_SIZE_MAX = 64 * 1024 };

void s3_call_clear(struct s3_call *call)
{
    if (call->headers.bytes)
        explicit_bzero(call->headers.bytes, call->headers.size);
    buf_clear(&call->headers);
    buf_clear(&call->url);
    buf_clear(&call->body);
    buf_clear(&call->entries);
}

static const char *method_of(enum s3_operation operation)
{
    switch (operation) {
    case S3_CREATE:
    case S3_PUT:
        return "PUT";
    case S3_STAT:
        return "HEAD";
    case S3_DELETE:
        return "DELETE";
    case S3_GET:
    case S3_LIST:
        break;
    }
    return "GET";
}

/* A listing asks the bucket, everything else an object. */
static char *path_of(const struct s3_store *s3, const struct s3_call *call,
                     const struct s3_question *question)
{
    if (call->operation == S3_LIST)
        return xstrdup(*s3->address.path ? s3->address.path : "/");
    return xasprintf("%s/%s%s", s3->address.path, s3->prefix, question->key);
}

static void sign(struct s3_store *s3, struct s3_call *call, const struct s3_question *question,
                 const struct credential_set *set)
{
    static const struct s3_field only_if_absent = {"if-none-match", "*"};
    CLEANUP(freep) char *path = path_of(s3, call, question);
    const struct s3_key key = {set->access_key_id, set->secret_access_key, set->session_token};
    const struct s3_request request = {
        .method = method_of(call->operation),
        .host = s3->address.host,
        .path = path,
        .query = question->query,
        .query_count = question->query_count,
        .headers = &only_if_absent,
        .header_count = call->operation == S3_CREATE,
        .payload = digest_of(call->bytes, call->size),
        .region = s3->address.region,
        .unix_s = s3_clock_signing_s(&s3->clock),
    };

    s3_call_clear(call);
    call->url.size_max = URL_SIZE_MAX;
    call->headers.size_max = HEADERS_SIZE_MAX;
    call->body.size_max = call->operation == S3_LIST ? S3_PAGE_SIZE_MAX : S3_ERROR_SIZE_MAX;
    call->entries.size_max = S3_PAGE_SIZE_MAX;
    call->performed = false;
    call->answer = (struct s3_answer){0};
    buf_add_text(&call->url, s3->address.origin);
    s3_sign(&request, &key, &call->url, &call->headers);
    assert(!call->url.overflowed && !call->headers.overflowed);
}

static void note_answer(struct s3_store *s3, struct s3_call *call)
{
    const struct s3_answer *answer = &call->answer;
    bool is_page = call->operation == S3_LIST && answer->status == 200;

    if (!is_page && call->body.size > 0)
        s3_answer_note_error(&call->answer, (const char *)call->body.bytes, call->body.size);
    if (answer->date_unix_ns > 0)
        s3_clock_note(&s3->clock, answer->date_unix_ns);
    if (answer->retry_after_s > 0)
        atomic_store(&s3->paused_until, clock_monotonic_ms() + answer->retry_after_s * 1000);
    if ((answer->status >= 200 && answer->status <= 299) || answer->status == 404 || answer->status == 412)
        atomic_store(&s3->accepted, true);
}

static bool ask_once(struct s3_store *s3, struct s3_call *call, const struct s3_question *question,
                     const struct credential_set *set, struct err *err)
{
    sign(s3, call, question, set);
    if (!s3_client_run(call, err))
        return err_wrap(err, "%s", question->key);
    note_answer(s3, call);
    return s3_judge(call,
                    &(struct s3_names){
                        .bucket = s3->bucket,
                        .endpoint = s3->address.origin,
                        .region = s3->address.region,
                        .key = question->key,
                        .access_key_id = set->access_key_id,
                        .skew_ns = s3_clock_skew_ns(&s3->clock),
                    },
                    err);
}

/* True if asking again may help. A clock that was wrong from the start is the operator's to mend: signing
 * with the store's time would hide that every other program on this machine is off too. */
static bool mend(struct s3_store *s3, const struct s3_call *call, const struct credential_set *set)
{
    if (!call->performed)
        return false;
    if (s3_answer_wants_new_credentials(call))
        return credentials_renewed(s3->credentials, set->generation);
    if (s3_answer_wants_other_time(call) && atomic_load(&s3->accepted) && call->answer.date_unix_ns > 0) {
        s3_clock_correct(&s3->clock);
        return true;
    }
    return false;
}

static bool ask_with_current(struct s3_store *s3, struct s3_call *call, const struct s3_question *question,
                             bool *ret_mended, struct err *err)
{
    __attribute__((cleanup(credential_set_clear))) struct credential_set set = {0};

    credentials_copy(s3->credentials, &set);
    if (ask_once(s3, call, question, &set, err))
        return true;
    *ret_mended = mend(s3, call, &set);
    return false;
}

bool s3_ask(struct s3_store *s3, struct s3_call *call, const struct s3_question *question, struct err *err)
{
    bool mended = false;

    if (s3->options.canceled && atomic_load(s3->options.canceled))
        return err_set(err, ERR_CANCELED, "%s: canceled", question->key);
    call->options = &s3->options;
    return ask_with_current(s3, call, question, &mended, err) ||
           (mended && ask_with_current(s3, call, question, &mended, err));
}

/* Most calls: no query, nothing but the answer's verdict. */
static bool ask_for_object(struct store *store, struct s3_call *call, const char *key, struct err *err)
{
    return s3_ask((struct s3_store *)store, call, &(struct s3_question){.key = key}, err);
}

#define CALL(...) __attribute__((cleanup(s3_call_clear))) struct s3_call call = {__VA_ARGS__}

static bool s3_create(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    CALL(.operation = S3_CREATE, .bytes = bytes, .size = size);
    return ask_for_object(store, &call, key, err);
}

static bool s3_put(struct store *store, const char *key, const void *bytes, size_t size, struct err *err)
{
    CALL(.operation = S3_PUT, .bytes = bytes, .size = size);
    return ask_for_object(store, &call, key, err);
}

static bool s3_get(struct store *store, const char *key, struct buf *contents, struct err *err)
{
    size_t before = contents->size;
    CALL(.operation = S3_GET, .contents = contents);

    if (ask_for_object(store, &call, key, err))
        return true;
    contents->size = before;
    contents->overflowed = false;
    return false;
}

static bool s3_stat(struct store *store, const char *key, uint64_t *ret_size, struct err *err)
{
    CALL(.operation = S3_STAT);

    if (!ask_for_object(store, &call, key, err))
        return false;
    *ret_size = call.answer.length;
    return true;
}

static bool s3_delete(struct store *store, const char *key, struct err *err)
{
    CALL(.operation = S3_DELETE);
    return ask_for_object(store, &call, key, err);
}

static uint64_t s3_unix_ns(struct store *store)
{
    return s3_clock_unix_ns(&((struct s3_store *)store)->clock);
}

static int64_t s3_skew_ns(struct store *store)
{
    return s3_clock_skew_ns(&((struct s3_store *)store)->clock);
}

static uint64_t s3_pause_ms(struct store *store)
{
    uint64_t until = atomic_load(&((struct s3_store *)store)->paused_until), now = clock_monotonic_ms();

    return until > now ? until - now : 0;
}

static void s3_free(struct store *store)
{
    struct s3_store *s3 = (struct s3_store *)store;

    s3_client_stop();
    credentials_free(s3->credentials);
    s3_address_clear(&s3->address);
    free(s3->prefix);
    free(s3);
}

static bool check_ca_file(const char *path, struct err *err)
{
    if (path && access(path, R_OK) != 0)
        return err_set(err, ERR_CONFIG, "HOLDFAST_S3_CA_FILE \"%.200s\" can't be read", path);
    return true;
}

bool s3_open(const struct store_config *config, const atomic_bool *canceled, struct store **ret_store,
             struct err *err)
{
    static const struct store_ops ops = {
        .create = s3_create,
        .put = s3_put,
        .get = s3_get,
        .stat = s3_stat,
        .list = s3_list,
        .delete = s3_delete,
        .free = s3_free,
        .unix_ns = s3_unix_ns,
        .clock_skew_ns = s3_skew_ns,
        .pause_ms = s3_pause_ms,
    };
    CLEANUP(credentials_freep) struct credentials *credentials = NULL;
    struct s3_address address = {0};
    struct s3_store *s3;

    if (!credentials_open(config, &credentials, err) || !check_ca_file(config->ca_file, err))
        return false;
    if (!s3_address_init(&address, config, err) || !s3_client_start(err)) {
        s3_address_clear(&address);
        return false;
    }
    s3 = xcalloc(1, sizeof(*s3));
    s3->store.ops = &ops;
    s3->address = address;
    s3->bucket = config->bucket;
    s3->options = (struct s3_options){.ca_file = config->ca_file,
                                      .stall_timeout_s =
                                          config->stall_timeout_s ? config->stall_timeout_s : STALL_TIMEOUT_S,
                                      .canceled = canceled};
    s3->credentials = MOVE(credentials);
    s3->prefix = *config->prefix ? xasprintf("%s/", config->prefix) : xstrdup("");
    *ret_store = &s3->store;
    return true;
}
