/* AWS Signature Version 4 for S3, in the header form, with the payload hashed in one piece. Pure: time and
 * keys come from outside. https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
#ifndef SNAPSHOT_STORE_S3_SIGN_H
#define SNAPSHOT_STORE_S3_SIGN_H

#include "base/buf.h"
#include "snapshot/digest.h"

/* A query parameter or a header; a header's name is lower-case. */
struct s3_field {
    const char *name;
    const char *value;
};

enum { S3_FIELDS_MAX = 12 };

struct s3_key {
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token; /* or NULL */
};

struct s3_request {
    const char *method;
    const char *host;       /* the Host header */
    const char *path;       /* not encoded, begins with '/' */
    struct s3_field *query; /* not encoded; sorted here */
    size_t query_count;
    const struct s3_field *headers; /* what is sent and signed besides host and the x-amz- ones made here */
    size_t header_count;
    struct digest payload;
    const char *region;
    uint64_t unix_s;
};

/* Adds to *target the path and query exactly as they are to be sent, and to *lines the headers to be sent
 * ("name: value\n" each): host, those given, x-amz-content-sha256, x-amz-date, x-amz-security-token and
 * authorization. */
void s3_sign(const struct s3_request *request, const struct s3_key *key, struct buf *target,
             struct buf *lines);

#endif
