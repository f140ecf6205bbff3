/* libs3 2.0 as what it is good at: a pool of connections, the order of callbacks, and an incremental parser
 * of listings.
 *
 * It is told to talk to a dead end with placeholder credentials. If our transport should ever not be in its
 * place, the request goes nowhere, no secret is in it, and call->performed stays false. */
#include "snapshot/store/s3_client.h"

#include "snapshot/store/s3_transport.h"

#include <assert.h>
#include <libs3.h>
#include <libxml/parser.h>
#include <string.h>

/* Errors of libs3 that have a meaning for us are judged by HTTP status and error code instead. */
struct outcome {
    struct s3_call *call;
    S3Status status;
};

static const S3BucketContext dead_end = {
    .hostName = "127.0.0.1:1",
    .bucketName = "placeholder",
    .protocol = S3ProtocolHTTP,
    .uriStyle = S3UriStylePath,
    .accessKeyId = "x",
    .secretAccessKey = "x",
};

static S3Status take_properties(const S3ResponseProperties *properties, void *context)
{
    (void)properties, (void)context;
    return S3StatusOK;
}

static void take_status(S3Status status, const S3ErrorDetails *details, void *context)
{
    (void)details;
    ((struct outcome *)context)->status = status;
}

static const S3ResponseHandler response_handler = {&take_properties, &take_status};

static S3Status take_contents(int size, const char *bytes, void *context)
{
    struct s3_call *call = ((struct outcome *)context)->call;

    buf_add(call->contents, bytes, (size_t)size);
    return call->contents->overflowed ? S3StatusAbortedByCallback : S3StatusOK;
}

static S3Status take_entries(int is_truncated, const char *next_marker, int count,
                             const S3ListBucketContent *contents, int prefix_count, const char **prefixes,
                             void *context)
{
    struct s3_call *call = ((struct outcome *)context)->call;

    (void)is_truncated, (void)next_marker, (void)prefix_count, (void)prefixes;
    for (int at = 0; at < count; at++) {
        uint64_t size = contents[at].size;
        buf_add(&call->entries, &size, sizeof(size));
        buf_add(&call->entries, contents[at].key, strlen(contents[at].key) + 1);
    }
    return call->entries.overflowed ? S3StatusAbortedByCallback : S3StatusOK;
}

bool s3_entries_next(const struct buf *entries, size_t *at, const char **ret_key, uint64_t *ret_size)
{
    if (*at == entries->size)
        return false;
    assert(entries->size - *at > sizeof(*ret_size));
    memcpy(ret_size, entries->bytes + *at, sizeof(*ret_size));
    *ret_key = (const char *)entries->bytes + *at + sizeof(*ret_size);
    *at += sizeof(*ret_size) + strlen(*ret_key) + 1;
    return true;
}

static void dispatch(const struct s3_call *call, struct outcome *outcome)
{
    static const char key[] = "placeholder";
    S3PutObjectHandler put_handler = {response_handler, NULL}; /* the transport sends the body itself */
    S3GetObjectHandler get_handler = {response_handler, &take_contents};
    S3ListBucketHandler list_handler = {response_handler, &take_entries};

    switch (call->operation) {
    case S3_CREATE:
    case S3_PUT:
        S3_put_object(&dead_end, key, call->size, NULL, NULL, &put_handler, outcome);
        return;
    case S3_GET:
        S3_get_object(&dead_end, key, NULL, 0, 0, NULL, &get_handler, outcome);
        return;
    case S3_STAT:
        S3_head_object(&dead_end, key, NULL, &response_handler, outcome);
        return;
    case S3_LIST:
        S3_list_bucket(&dead_end, NULL, NULL, NULL, 0, NULL, &list_handler, outcome);
        return;
    case S3_DELETE:
        S3_delete_object(&dead_end, key, NULL, &response_handler, outcome);
        return;
    }
}

bool s3_client_run(struct s3_call *call, struct err *err)
{
    struct outcome outcome = {.call = call, .status = S3StatusInternalError};

    s3_transport_enter(call);
    dispatch(call, &outcome);
    s3_transport_leave();
    if (!call->performed)
        return err_set(err, ERR_SYSTEM,
                       "libs3 did not use our transport (%s): holdfast must be linked with libs3.a",
                       S3_get_status_name(outcome.status));
    if (call->answer.failure == S3_FAILURE_NONE && call->answer.status == 200 && outcome.status != S3StatusOK)
        return err_set(err, ERR_CORRUPT, "the store's answer can't be read (%s)",
                       S3_get_status_name(outcome.status));
    return true;
}

/* A listing that libs3 has to parse, so that every step between it and us is taken once. */
static bool rehearse(struct err *err)
{
    static const struct s3_options options = {0};
    struct s3_call call = {
        .operation = S3_LIST,
        .options = &options,
        .rehearsal =
            "<ListBucketResult><IsTruncated>false</IsTruncated>"
            "<Contents><Key>a&amp;b</Key><Size>7</Size></Contents></ListBucketResult>",
        .body = BUF_INIT(4096),
        .entries = BUF_INIT(4096),
    };
    const char *key = "";
    uint64_t size = 0;
    size_t at = 0;
    bool succeeded = s3_client_run(&call, err);

    if (succeeded &&
        (!s3_entries_next(&call.entries, &at, &key, &size) || strcmp(key, "a&b") != 0 || size != 7))
        succeeded =
            err_set(err, ERR_SYSTEM, "libs3 misread a listing: holdfast must be linked with libs3 2.0");
    buf_clear(&call.body);
    buf_clear(&call.entries);
    return succeeded;
}

bool s3_client_start(struct err *err)
{
    S3Status status;

    xmlInitParser();
    status = S3_initialize("holdfast", 0, NULL);
    if (status != S3StatusOK)
        return err_set(err, ERR_SYSTEM, "initialise libs3: %s", S3_get_status_name(status));
    if (!rehearse(err)) {
        S3_deinitialize();
        return false;
    }
    return true;
}

void s3_client_stop(void)
{
    S3_deinitialize();
}
