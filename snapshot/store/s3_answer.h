/* What an S3 server said: the few headers we need, the error document, the frame of a listing. Pure; every
 * function survives any bytes. */
#ifndef SNAPSHOT_STORE_S3_ANSWER_H
#define SNAPSHOT_STORE_S3_ANSWER_H

#include "base/buf.h"

enum { S3_CODE_SIZE = 64, S3_MESSAGE_SIZE = 256, S3_REGION_SIZE = 40 };

/* Why there is no whole answer. */
enum s3_failure {
    S3_FAILURE_NONE,
    S3_FAILURE_NAME,        /* the host's name is not found */
    S3_FAILURE_CONNECT,     /* nobody listens, or no way there */
    S3_FAILURE_CERTIFICATE, /* not the one to talk to */
    S3_FAILURE_CA_FILE,     /* our own list of authorities can't be used */
    S3_FAILURE_TIMEOUT,
    S3_FAILURE_BROKEN,    /* the connection ended too early */
    S3_FAILURE_TOO_LARGE, /* more than such an answer can have */
    S3_FAILURE_CANCELED,
    S3_FAILURE_OTHER,
};

struct s3_answer {
    enum s3_failure failure;
    char failure_text[S3_MESSAGE_SIZE]; /* the transport's words */
    int status;                         /* of HTTP; 0: none came */
    bool has_length, is_chunked;        /* how the body's end can be known */
    uint64_t length, received;
    uint64_t date_unix_ns; /* 0: no Date */
    uint64_t retry_after_s;
    char region[S3_REGION_SIZE]; /* where the bucket is, if the server says so */
    char code[S3_CODE_SIZE];     /* of the error document; "" without one */
    char message[S3_MESSAGE_SIZE];
};

/* Takes one line of the answer's head (its status line too, which begins the answer anew: there may be
 * several heads). */
void s3_answer_note_line(struct s3_answer *answer, const char *line, size_t size);

/* Takes Code and Message out of an error document
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). Only printable characters are kept.
 * Anything else leaves both empty. */
void s3_answer_note_error(struct s3_answer *answer, const char *bytes, size_t size);

/* Whether bytes are a whole page of a listing, and whether more follow it. ERR_CORRUPT if it was cut off or
 * says neither. */
bool s3_page_check(const char *bytes, size_t size, bool *ret_more_follow, struct err *err) CHECKED;

#endif
