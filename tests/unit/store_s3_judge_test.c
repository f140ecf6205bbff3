#include "snapshot/store/s3_judge.h"

#include "base/clock.h"
#include "tests/tap.h"

static const struct s3_names here = {
    .bucket = "my-bucket",
    .endpoint = "https://s3.example",
    .region = "eu-west-1",
    .key = "log/12",
    .access_key_id = "AKSECRETID",
};

static struct err verdict_named(const struct s3_call *call, const struct s3_names *with)
{
    struct err err = {0};

    (void)!s3_judge(call, with, &err);
    return err;
}

static struct err verdict(enum s3_operation operation, int status, const char *code)
{
    struct s3_call call = {
        .operation = operation, .performed = true, .answer = {.status = status, .has_length = true}};

    (void)snprintf(call.answer.code, sizeof(call.answer.code), "%s", code);
    return verdict_named(&call, &here);
}

static void expect(enum s3_operation operation, int status, const char *code, enum err_code wanted,
                   const char *text)
{
    struct err err = verdict(operation, status, code);

    if (!EXPECT(err.code == wanted &&
                (wanted == ERR_NONE || (strstr(err.text, text) && strstr(err.text, "log/12")))))
        printf("#   HTTP %d %s: %s: %s\n", status, code, err_code_name(err.code), err.text);
}

TEST(successes_are_successes)
{
    expect(S3_CREATE, 200, "", ERR_NONE, "");
    expect(S3_PUT, 201, "", ERR_NONE, "");
    expect(S3_GET, 200, "", ERR_NONE, "");
    expect(S3_STAT, 200, "", ERR_NONE, "");
    expect(S3_LIST, 200, "", ERR_NONE, "");
    expect(S3_DELETE, 204, "", ERR_NONE, "");
    expect(S3_DELETE, 404, "NoSuchKey", ERR_NONE, "");
}

TEST(a_success_that_nobody_asked_for_is_corrupt)
{
    expect(S3_GET, 206, "", ERR_CORRUPT, "206");
    expect(S3_GET, 204, "", ERR_CORRUPT, "204");
    expect(S3_LIST, 206, "", ERR_CORRUPT, "206");
    expect(S3_PUT, 207, "", ERR_CORRUPT, "207");
    expect(S3_PUT, 200, "InternalError", ERR_TRANSIENT, "InternalError");
}

TEST(a_body_whose_end_is_unknown_is_corrupt)
{
    struct s3_call call = {.operation = S3_GET, .performed = true, .answer = {.status = 200}};

    EXPECT_INT(verdict_named(&call, &here).code, ERR_CORRUPT);
    call.answer.is_chunked = true;
    EXPECT_INT(verdict_named(&call, &here).code, ERR_NONE);
    call.operation = S3_STAT;
    EXPECT_INT(verdict_named(&call, &here).code, ERR_CORRUPT);
}

TEST(absence_is_believed_only_where_it_is_said)
{
    expect(S3_GET, 404, "NoSuchKey", ERR_NOT_FOUND, "absent");
    expect(S3_STAT, 404, "", ERR_NOT_FOUND, "absent");
    expect(S3_GET, 404, "", ERR_CONFIG, "HOLDFAST_S3_ENDPOINT");
    expect(S3_LIST, 404, "NoSuchKey", ERR_CONFIG, "HOLDFAST_S3_ENDPOINT");
    expect(S3_GET, 404, "NoSuchBucket", ERR_CONFIG, "my-bucket");
    expect(S3_LIST, 404, "NoSuchBucket", ERR_CONFIG, "HOLDFAST_STORE");
    expect(S3_DELETE, 404, "NoSuchBucket", ERR_CONFIG, "my-bucket");
}

TEST(conditions_conflict_or_are_not_supported)
{
    expect(S3_CREATE, 412, "PreconditionFailed", ERR_CONFLICT, "exists");
    expect(S3_CREATE, 412, "", ERR_CONFLICT, "exists");
    expect(S3_CREATE, 409, "ConditionalRequestConflict", ERR_TRANSIENT, "409");
    expect(S3_CREATE, 501, "NotImplemented", ERR_CONFIG, "does not support If-None-Match");
}

TEST(refused_credentials_name_their_variable)
{
    expect(S3_PUT, 403, "InvalidAccessKeyId", ERR_DENIED, "HOLDFAST_S3_ACCESS_KEY_ID");
    expect(S3_PUT, 401, "Unauthorized", ERR_DENIED, "HOLDFAST_S3_ACCESS_KEY_ID");
    expect(S3_PUT, 403, "SignatureDoesNotMatch", ERR_DENIED, "HOLDFAST_S3_SECRET_ACCESS_KEY");
    expect(S3_PUT, 400, "ExpiredToken", ERR_DENIED, "HOLDFAST_S3_SESSION_TOKEN");
    expect(S3_PUT, 403, "AccessDenied", ERR_DENIED, "no permission to write");
    expect(S3_GET, 403, "AccessDenied", ERR_DENIED, "s3:ListBucket");
    expect(S3_STAT, 403, "", ERR_DENIED, "s3:ListBucket");
}

TEST(a_wrong_region_names_the_right_one_if_the_store_does)
{
    struct s3_call call = {
        .operation = S3_GET, .performed = true, .answer = {.status = 301, .region = "ap-south-1"}};

    EXPECT(strstr(verdict_named(&call, &here).text, "HOLDFAST_S3_REGION=ap-south-1"));
    EXPECT_INT(verdict_named(&call, &here).code, ERR_CONFIG);
    expect(S3_GET, 301, "PermanentRedirect", ERR_CONFIG, "HOLDFAST_S3_REGION \"eu-west-1\"");
    expect(S3_GET, 307, "TemporaryRedirect", ERR_CONFIG, "HOLDFAST_S3_REGION");
    expect(S3_GET, 302, "", ERR_CONFIG, "HOLDFAST_S3_REGION");
    expect(S3_GET, 400, "AuthorizationHeaderMalformed", ERR_CONFIG, "HOLDFAST_S3_REGION");
}

TEST(a_wrong_clock_is_told_by_how_much)
{
    struct s3_names late = here, ahead = here;
    struct s3_call call = {
        .operation = S3_GET, .performed = true, .answer = {.status = 403, .code = "RequestTimeTooSkewed"}};

    late.skew_ns = 3600 * (int64_t)NS_PER_SECOND;
    ahead.skew_ns = -7200 * (int64_t)NS_PER_SECOND;
    EXPECT_INT(verdict_named(&call, &late).code, ERR_CONFIG);
    EXPECT(strstr(verdict_named(&call, &late).text, "clock is 3600 s behind"));
    EXPECT(strstr(verdict_named(&call, &ahead).text, "clock is 7200 s ahead of"));
    EXPECT(strstr(verdict_named(&call, &here).text, "set the clock right"));
}

TEST(what_may_pass_is_transient)
{
    static const int statuses[] = {408, 409, 429, 500, 502, 503, 504, 507, 599};

    for (size_t at = 0; at < sizeof(statuses) / sizeof(statuses[0]); at++)
        expect(S3_PUT, statuses[at], "", ERR_TRANSIENT, "HTTP");
    expect(S3_PUT, 503, "SlowDown", ERR_TRANSIENT, "SlowDown");
    expect(S3_PUT, 400, "RequestTimeout", ERR_TRANSIENT, "RequestTimeout");
    expect(S3_PUT, 400, "XAmzContentSHA256Mismatch", ERR_TRANSIENT, "Mismatch");
    expect(S3_PUT, 400, "InvalidRequest", ERR_CONFIG, "InvalidRequest");
}

TEST(failures_of_the_transport_have_codes_and_words)
{
    static const struct {
        enum s3_failure failure;
        enum err_code code;
        const char *text;
    } cases[] = {
        {S3_FAILURE_NAME, ERR_TRANSIENT, "HOLDFAST_S3_ENDPOINT"},
        {S3_FAILURE_CONNECT, ERR_TRANSIENT, "HOLDFAST_S3_ENDPOINT"},
        {S3_FAILURE_CERTIFICATE, ERR_CONFIG, "HOLDFAST_S3_CA_FILE"},
        {S3_FAILURE_CA_FILE, ERR_CONFIG, "HOLDFAST_S3_CA_FILE"},
        {S3_FAILURE_TIMEOUT, ERR_TRANSIENT, "too long"},
        {S3_FAILURE_BROKEN, ERR_TRANSIENT, "broke"},
        {S3_FAILURE_TOO_LARGE, ERR_CORRUPT, "larger"},
        {S3_FAILURE_CANCELED, ERR_CANCELED, "canceled"},
        {S3_FAILURE_OTHER, ERR_TRANSIENT, "failed"},
    };

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        struct s3_call call = {
            .operation = S3_GET, .performed = true, .answer = {.status = 200, .failure = cases[at].failure}};
        struct err err = verdict_named(&call, &here);
        EXPECT_INT(err.code, cases[at].code);
        EXPECT(strstr(err.text, cases[at].text) && strstr(err.text, "log/12") &&
               strstr(err.text, "https://s3.example"));
    }
}

TEST(a_message_that_repeats_the_key_id_is_left_out)
{
    struct s3_call call = {
        .operation = S3_PUT,
        .performed = true,
        .answer = {.status = 403, .code = "InvalidAccessKeyId", .message = "The key AKSECRETID is unknown"}};
    struct err err = verdict_named(&call, &here);

    EXPECT(!strstr(err.text, "AKSECRETID"));
    EXPECT(strstr(err.text, "InvalidAccessKeyId"));
}

TEST(refusals_that_can_be_mended_are_recognised)
{
    struct s3_call call = {.operation = S3_PUT, .answer = {.status = 400, .code = "ExpiredToken"}};

    EXPECT(s3_answer_wants_new_credentials(&call));
    EXPECT(!s3_answer_wants_other_time(&call));
    call.answer = (struct s3_answer){.status = 403, .code = "AccessDenied"};
    EXPECT(!s3_answer_wants_new_credentials(&call));
    call.answer = (struct s3_answer){.status = 401};
    EXPECT(s3_answer_wants_new_credentials(&call));
    call.answer = (struct s3_answer){.status = 403, .code = "RequestTimeTooSkewed"};
    EXPECT(s3_answer_wants_other_time(&call));
    call = (struct s3_call){.operation = S3_STAT, .answer = {.status = 403}};
    EXPECT(s3_answer_wants_new_credentials(&call));
}

TAP_MAIN()
