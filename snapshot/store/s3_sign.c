/* A signature covers bytes, so what is signed and what is sent must be encoded alike. Both come from the same
 * text here: everything but the unreserved characters of RFC 3986 is percent-encoded (the slash stays in a
 * path), queries are sorted, and every header that we set is signed. libcurl's own signer does not do that
 * for the forms we need. */
#include "snapshot/store/s3_sign.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TIME_TEXT_SIZE = 17, DAY_SIZE = 8 };

static const char service[] = "s3";

static void add_encoded(struct buf *text, const char *raw, bool is_path)
{
    static const char digits[] = "0123456789ABCDEF";

    for (const char *at = raw; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        bool unreserved = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                          (byte >= '0' && byte <= '9') || strchr("-._~", byte);
        if (unreserved || (is_path && byte == '/')) {
            buf_add(text, at, 1);
        } else {
            char encoded[3] = {'%', digits[byte >> 4], digits[byte & 15]};
            buf_add(text, encoded, sizeof(encoded));
        }
    }
}

static int compare_fields(const void *one, const void *other)
{
    return strcmp(((const struct s3_field *)one)->name, ((const struct s3_field *)other)->name);
}

/* Every parameter that we send has a name of its own, so that the order of the names is the order asked for.
 */
static void add_query(struct buf *text, struct s3_field *query, size_t count)
{
    if (count > 0) /* query may be NULL then */
        qsort(query, count, sizeof(*query), compare_fields);
    for (size_t at = 0; at < count; at++) {
        assert(at == 0 || strcmp(query[at - 1].name, query[at].name) < 0);
        buf_add_text(text, at > 0 ? "&" : "");
        add_encoded(text, query[at].name, false);
        buf_add_text(text, "=");
        add_encoded(text, query[at].value, false);
    }
}

static void write_time(uint64_t unix_s, char text[TIME_TEXT_SIZE])
{
    time_t seconds = (time_t)unix_s;
    struct tm utc;

    (void)gmtime_r(&seconds, &utc);
    (void)strftime(text, TIME_TEXT_SIZE, "%Y%m%dT%H%M%SZ", &utc);
}

/* All the headers that are signed, sorted. */
struct headers {
    struct s3_field fields[S3_FIELDS_MAX];
    size_t count;
};

static void headers_add(struct headers *headers, const char *name, const char *value)
{
    assert(headers->count < S3_FIELDS_MAX);
    headers->fields[headers->count++] = (struct s3_field){name, value};
}

static void add_signed_names(struct buf *text, const struct headers *headers)
{
    for (size_t at = 0; at < headers->count; at++)
        buf_printf(text, "%s%s", at > 0 ? ";" : "", headers->fields[at].name);
}

/* What both sides hash: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html,
 * step 1. */
static struct digest hash_request(const struct s3_request *request, const struct headers *headers,
                                  const char *payload)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(64 * 1024);

    buf_printf(&text, "%s\n", request->method);
    add_encoded(&text, request->path, true);
    buf_add_text(&text, "\n");
    add_query(&text, request->query, request->query_count);
    buf_add_text(&text, "\n");
    for (size_t at = 0; at < headers->count; at++)
        buf_printf(&text, "%s:%s\n", headers->fields[at].name, headers->fields[at].value);
    buf_add_text(&text, "\n");
    add_signed_names(&text, headers);
    buf_printf(&text, "\n%s", payload);
    assert(!text.overflowed);
    return digest_of(text.bytes, text.size);
}

static struct digest hmac_text(const struct digest *key, const char *text, size_t size)
{
    return digest_hmac(key->bytes, sizeof(key->bytes), text, size);
}

static struct digest derive_key(const char *secret, const char *time, const char *region)
{
    CLEANUP(buf_clearp) struct buf first = BUF_INIT(4096);
    struct digest key;

    buf_printf(&first, "AWS4%s", secret);
    key = digest_hmac(first.bytes, first.size, time, DAY_SIZE);
    explicit_bzero(first.bytes, first.size);
    key = hmac_text(&key, region, strlen(region));
    key = hmac_text(&key, service, strlen(service));
    return hmac_text(&key, "aws4_request", strlen("aws4_request"));
}

static void add_authorization(struct buf *lines, const struct s3_request *request, const struct s3_key *key,
                              const struct headers *headers, const char *time)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(4096);
    char hash[DIGEST_TEXT_SIZE], signature[DIGEST_TEXT_SIZE], payload[DIGEST_TEXT_SIZE];
    struct digest request_hash, signing_key, signature_digest;

    digest_hex(&request->payload, payload);
    request_hash = hash_request(request, headers, payload);
    digest_hex(&request_hash, hash);
    buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/%s/aws4_request\n%s", time, time, request->region,
               service, hash);
    signing_key = derive_key(key->secret_access_key, time, request->region);
    signature_digest = hmac_text(&signing_key, buf_text(&text), text.size);
    digest_hex(&signature_digest, signature);
    explicit_bzero(&signing_key, sizeof(signing_key));
    buf_printf(lines, "authorization: AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request,SignedHeaders=",
               key->access_key_id, time, request->region, service);
    add_signed_names(lines, headers);
    buf_printf(lines, ",Signature=%s\n", signature);
}

void s3_sign(const struct s3_request *request, const struct s3_key *key, struct buf *target,
             struct buf *lines)
{
    struct headers headers = {0};
    char payload[DIGEST_TEXT_SIZE], time[TIME_TEXT_SIZE];

    assert(request->path[0] == '/');
    digest_hex(&request->payload, payload);
    write_time(request->unix_s, time);
    headers_add(&headers, "host", request->host);
    headers_add(&headers, "x-amz-content-sha256", payload);
    headers_add(&headers, "x-amz-date", time);
    if (key->session_token)
        headers_add(&headers, "x-amz-security-token", key->session_token);
    for (size_t at = 0; at < request->header_count; at++)
        headers_add(&headers, request->headers[at].name, request->headers[at].value);
    qsort(headers.fields, headers.count, sizeof(headers.fields[0]), compare_fields);

    add_encoded(target, request->path, true);
    if (request->query_count > 0) {
        buf_add_text(target, "?");
        add_query(target, request->query, request->query_count);
    }
    for (size_t at = 0; at < headers.count; at++)
        buf_printf(lines, "%s: %s\n", headers.fields[at].name, headers.fields[at].value);
    add_authorization(lines, request, key, &headers, time);
}
