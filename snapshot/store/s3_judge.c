/* HTTP's status and S3's error code, and nothing that libs3 says, decide what an answer means.
 *
 * The table goes from the particular to the general; the first row that fits decides. Servers differ in codes
 * more than in statuses (R2 answers 401 where AWS answers 403), so a row may leave either open. */
#include "snapshot/store/s3_judge.h"

#include "base/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Which sentence is written. */
enum remark {
    REMARK_PLAIN, /* what the server said */
    REMARK_ABSENT,
    REMARK_EXISTS,
    REMARK_KEY_ID,
    REMARK_SECRET,
    REMARK_TOKEN,
    REMARK_PERMISSION,
    REMARK_BUCKET,
    REMARK_REGION,
    REMARK_CLOCK,
    REMARK_UNSUPPORTED,
    REMARK_ENDPOINT,
};

struct row {
    int status;       /* 0: any */
    const char *code; /* NULL: any */
    enum err_code meaning;
    enum remark remark;
};

/* https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList and what R2, radosgw and
 * Swift answer. */
static const struct row rows[] = {
    {404, "NoSuchBucket", ERR_CONFIG, REMARK_BUCKET},
    {404, "NoSuchKey", ERR_NOT_FOUND, REMARK_ABSENT},
    {0, "InvalidBucketName", ERR_CONFIG, REMARK_BUCKET},
    {0, "ExpiredToken", ERR_DENIED, REMARK_TOKEN},
    {0, "InvalidToken", ERR_DENIED, REMARK_TOKEN},
    {0, "TokenRefreshRequired", ERR_DENIED, REMARK_TOKEN},
    {0, "InvalidAccessKeyId", ERR_DENIED, REMARK_KEY_ID},
    {0, "SignatureDoesNotMatch", ERR_DENIED, REMARK_SECRET},
    {0, "RequestTimeTooSkewed", ERR_CONFIG, REMARK_CLOCK},
    {0, "RequestExpired", ERR_CONFIG, REMARK_CLOCK},
    {0, "PermanentRedirect", ERR_CONFIG, REMARK_REGION},
    {0, "TemporaryRedirect", ERR_CONFIG, REMARK_REGION},
    {0, "AuthorizationHeaderMalformed", ERR_CONFIG, REMARK_REGION},
    {0, "IllegalLocationConstraintException", ERR_CONFIG, REMARK_REGION},
    {400, "RequestTimeout", ERR_TRANSIENT, REMARK_PLAIN},
    {400, "IncompleteBody", ERR_TRANSIENT, REMARK_PLAIN},
    {400, "BadDigest", ERR_TRANSIENT, REMARK_PLAIN},
    {400, "XAmzContentSHA256Mismatch", ERR_TRANSIENT, REMARK_PLAIN},
    {412, NULL, ERR_CONFLICT, REMARK_EXISTS},
    {401, NULL, ERR_DENIED, REMARK_KEY_ID},
    {403, NULL, ERR_DENIED, REMARK_PERMISSION},
    {404, NULL, ERR_CONFIG, REMARK_ENDPOINT},
    {405, NULL, ERR_CONFIG, REMARK_ENDPOINT},
    {408, NULL, ERR_TRANSIENT, REMARK_PLAIN},
    {409, NULL, ERR_TRANSIENT, REMARK_PLAIN},
    {429, NULL, ERR_TRANSIENT, REMARK_PLAIN},
    {501, NULL, ERR_CONFIG, REMARK_UNSUPPORTED},
};

static const char *const verbs[] = {
    [S3_CREATE] = "create", [S3_PUT] = "write", [S3_GET] = "read",
    [S3_STAT] = "look at",  [S3_LIST] = "list", [S3_DELETE] = "delete",
};

/* HEAD has no body: nothing says whether the object is absent or the bucket is. */
static const struct row absent_by_head = {404, NULL, ERR_NOT_FOUND, REMARK_ABSENT};

static const struct row *row_of(const struct s3_call *call)
{
    static const struct row redirect = {0, NULL, ERR_CONFIG, REMARK_REGION};
    static const struct row refused = {0, NULL, ERR_CONFIG, REMARK_PLAIN};
    static const struct row failed = {0, NULL, ERR_TRANSIENT, REMARK_PLAIN};
    const struct s3_answer *answer = &call->answer;

    if (call->operation == S3_STAT && answer->status == 404)
        return &absent_by_head;
    for (size_t at = 0; at < sizeof(rows) / sizeof(rows[0]); at++)
        if ((rows[at].status == 0 || rows[at].status == answer->status) &&
            (!rows[at].code || strcmp(rows[at].code, answer->code) == 0) &&
            (rows[at].remark != REMARK_ABSENT || call->operation == S3_GET)) /* a listing is never absent */
            return &rows[at];
    if (answer->status >= 300 && answer->status <= 399)
        return &redirect;
    return answer->status >= 400 && answer->status <= 499 ? &refused : &failed;
}

/* "503 SlowDown: please reduce…"; without the server's own words where they could repeat a secret. */
static void describe(const struct s3_answer *answer, const struct s3_names *names, enum remark remark,
                     char *text, size_t size)
{
    bool is_delicate = remark == REMARK_KEY_ID || remark == REMARK_SECRET || remark == REMARK_TOKEN ||
                       (*names->access_key_id && strstr(answer->message, names->access_key_id));
    bool has_message = *answer->message && !is_delicate;

    (void)snprintf(text, size, "HTTP %d%s%s%s%s", answer->status, *answer->code ? " " : "", answer->code,
                   has_message ? ": " : "", has_message ? answer->message : "");
}

static void write_permission(char *text, size_t size, const struct s3_call *call,
                             const struct s3_names *names)
{
    bool reads = call->operation == S3_GET || call->operation == S3_STAT;

    (void)snprintf(
        text, size,
        "the credentials of HOLDFAST_S3_ACCESS_KEY_ID have no permission to %s objects in the bucket %s%s",
        verbs[call->operation], names->bucket,
        reads ? " (AWS answers so for an absent object too, if they lack s3:ListBucket)" : "");
}

static void write_clock(char *text, size_t size, const struct s3_names *names)
{
    int64_t skew_s = names->skew_ns / (int64_t)NS_PER_SECOND;

    if (skew_s == 0)
        (void)snprintf(text, size,
                       "the store refuses the time of this machine's clock; set the clock right (NTP)");
    else
        (void)snprintf(text, size, "this machine's clock is %" PRId64 " s %s the store's; set it right (NTP)",
                       skew_s < 0 ? -skew_s : skew_s, skew_s < 0 ? "ahead of" : "behind");
}

static void write_region(char *text, size_t size, const struct s3_call *call, const struct s3_names *names)
{
    if (*call->answer.region)
        (void)snprintf(text, size, "the bucket %s is in another region: set HOLDFAST_S3_REGION=%s",
                       names->bucket, call->answer.region);
    else
        (void)snprintf(text, size,
                       "HOLDFAST_S3_REGION \"%s\" or HOLDFAST_S3_ENDPOINT is not that of the bucket %s",
                       names->region, names->bucket);
}

static void write_remark(char *text, size_t size, enum remark remark, const struct s3_call *call,
                         const struct s3_names *names)
{
    switch (remark) {
    case REMARK_PLAIN:
        (void)snprintf(text, size, "the store refused");
        return;
    case REMARK_ABSENT:
        (void)snprintf(text, size, "the object is absent");
        return;
    case REMARK_EXISTS:
        (void)snprintf(text, size, "the object exists");
        return;
    case REMARK_KEY_ID:
        (void)snprintf(text, size, "the store doesn't know the key in HOLDFAST_S3_ACCESS_KEY_ID");
        return;
    case REMARK_SECRET:
        (void)snprintf(text, size,
                       "HOLDFAST_S3_SECRET_ACCESS_KEY doesn't belong to HOLDFAST_S3_ACCESS_KEY_ID");
        return;
    case REMARK_TOKEN:
        (void)snprintf(text, size, "HOLDFAST_S3_SESSION_TOKEN has expired or is not valid; renew it");
        return;
    case REMARK_PERMISSION:
        write_permission(text, size, call, names);
        return;
    case REMARK_BUCKET:
        (void)snprintf(text, size, "there is no bucket %s at %s; create it or correct HOLDFAST_STORE",
                       names->bucket, names->endpoint);
        return;
    case REMARK_REGION:
        write_region(text, size, call, names);
        return;
    case REMARK_CLOCK:
        write_clock(text, size, names);
        return;
    case REMARK_UNSUPPORTED:
        (void)snprintf(text, size, "the store does not support %s",
                       call->operation == S3_CREATE ? "If-None-Match" : "this request");
        return;
    case REMARK_ENDPOINT:
        (void)snprintf(text, size, "%s doesn't answer like S3; check HOLDFAST_S3_ENDPOINT", names->endpoint);
        return;
    }
}

static bool judge_refusal(const struct s3_call *call, const struct s3_names *names, struct err *err)
{
    const struct row *row = row_of(call);
    char remark[300], said[400];

    write_remark(remark, sizeof(remark), row->remark, call, names);
    describe(&call->answer, names, row->remark, said, sizeof(said));
    return err_set(err, row->meaning, "%s %s: %s (%s)", verbs[call->operation], names->key, remark, said);
}

static bool judge_failure(const struct s3_call *call, const struct s3_names *names, struct err *err)
{
    static const struct {
        enum err_code meaning;
        const char *remark;
    } meanings[] = {
        [S3_FAILURE_NAME] = {ERR_TRANSIENT, "the host of HOLDFAST_S3_ENDPOINT is not found"},
        [S3_FAILURE_CONNECT] = {ERR_TRANSIENT, "no connection to HOLDFAST_S3_ENDPOINT"},
        [S3_FAILURE_CERTIFICATE] = {ERR_CONFIG,
                                    "the server's certificate is not trusted (HOLDFAST_S3_CA_FILE)"},
        [S3_FAILURE_CA_FILE] =
            {ERR_CONFIG, "no certificates to trust (HOLDFAST_S3_CA_FILE, or the package ca-certificates)"},
        [S3_FAILURE_TIMEOUT] = {ERR_TRANSIENT, "the store took too long"},
        [S3_FAILURE_BROKEN] = {ERR_TRANSIENT, "the connection broke"},
        [S3_FAILURE_TOO_LARGE] = {ERR_CORRUPT, "the answer is larger than it can be"},
        [S3_FAILURE_CANCELED] = {ERR_CANCELED, "canceled"},
        [S3_FAILURE_OTHER] = {ERR_TRANSIENT, "the request failed"},
    };
    const struct s3_answer *answer = &call->answer;

    return err_set(err, meanings[answer->failure].meaning, "%s %s at %s: %s (%s)", verbs[call->operation],
                   names->key, names->endpoint, meanings[answer->failure].remark, answer->failure_text);
}

static bool is_expected_status(const struct s3_call *call)
{
    int status = call->answer.status;

    if (call->operation == S3_CREATE || call->operation == S3_PUT || call->operation == S3_DELETE)
        return status >= 200 && status <= 204 && status != 203;
    return status == 200;
}

/* A success has to look like one: a body whose end is known, nothing that was not asked for, no error
 * document. */
static bool judge_success(const struct s3_call *call, const struct s3_names *names, struct err *err)
{
    const struct s3_answer *answer = &call->answer;
    bool is_read = call->operation == S3_GET || call->operation == S3_LIST;

    if (*answer->code)
        return err_set(err, ERR_TRANSIENT, "%s %s: the store answered HTTP %d with the error %s",
                       verbs[call->operation], names->key, answer->status, answer->code);
    if (!is_expected_status(call))
        return err_set(err, ERR_CORRUPT, "%s %s: the store answered HTTP %d, which was not asked for",
                       verbs[call->operation], names->key, answer->status);
    if (is_read && !answer->has_length && !answer->is_chunked)
        return err_set(err, ERR_CORRUPT, "%s %s: nothing says how long the answer is", verbs[call->operation],
                       names->key);
    if (call->operation == S3_STAT && !answer->has_length)
        return err_set(err, ERR_CORRUPT, "%s %s: the store doesn't say its size", verbs[call->operation],
                       names->key);
    return true;
}

bool s3_judge(const struct s3_call *call, const struct s3_names *names, struct err *err)
{
    const struct s3_answer *answer = &call->answer;

    assert(call->performed);
    if (answer->failure != S3_FAILURE_NONE)
        return judge_failure(call, names, err);
    if (answer->status < 100)
        return err_set(err, ERR_CORRUPT, "%s %s: the answer of %s is not HTTP", verbs[call->operation],
                       names->key, names->endpoint);
    if (call->operation == S3_DELETE && answer->status == 404 && strcmp(answer->code, "NoSuchKey") == 0)
        return true;
    if (answer->status >= 200 && answer->status <= 299)
        return judge_success(call, names, err);
    return judge_refusal(call, names, err);
}

static bool has_code(const struct s3_call *call, const char *const *codes)
{
    for (; *codes; codes++)
        if (strcmp(call->answer.code, *codes) == 0)
            return true;
    return false;
}

bool s3_answer_wants_new_credentials(const struct s3_call *call)
{
    static const char *const codes[] = {"ExpiredToken",       "InvalidToken",          "TokenRefreshRequired",
                                        "InvalidAccessKeyId", "SignatureDoesNotMatch", NULL};
    int status = call->answer.status;
    bool is_silent =
        call->operation == S3_STAT && (status == 400 || status == 403); /* HEAD has no document */

    return call->answer.failure == S3_FAILURE_NONE && (status == 401 || is_silent || has_code(call, codes));
}

bool s3_answer_wants_other_time(const struct s3_call *call)
{
    static const char *const codes[] = {"RequestTimeTooSkewed", "RequestExpired", NULL};

    return call->answer.failure == S3_FAILURE_NONE && has_code(call, codes);
}
