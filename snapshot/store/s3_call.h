/* One request to an S3 server and its answer, on its way through our driver (s3.c), libs3 (s3_client.c) and
 * libcurl (s3_transport.c).
 *
 * libs3 2.0 composes a request of its own that signs with a withdrawn scheme, hides failures and trusts
 * everybody. It gets placeholders only: what travels is what this struct says, and what libs3 hears of the
 * answer is what the transport hands on. Belongs to one thread. */
#ifndef SNAPSHOT_STORE_S3_CALL_H
#define SNAPSHOT_STORE_S3_CALL_H

#include "base/buf.h"
#include "snapshot/store/s3_answer.h"

#include <stdatomic.h>

enum s3_operation { S3_CREATE, S3_PUT, S3_GET, S3_STAT, S3_LIST, S3_DELETE };

/* A page of a listing may have 1000 keys of 1 KiB, each character an entity. */
enum { S3_PAGE_SIZE_MAX = 8 * 1024 * 1024, S3_ERROR_SIZE_MAX = 16 * 1024 };

/* The same for every call of a store. Borrowed. */
struct s3_options {
    const char *ca_file; /* NULL: the system's */
    unsigned stall_timeout_s;
    const atomic_bool *canceled; /* or NULL */
};

struct s3_call {
    enum s3_operation operation;
    const struct s3_options *options;
    struct buf url;     /* whole, encoded */
    struct buf headers; /* "name: value\n" each */
    const void *bytes;  /* what a create or put sends */
    size_t size;
    const char *rehearsal; /* not NULL: nothing is sent, and this is the body of a 200 */

    bool performed; /* the request came to our transport; false: libs3 refused it or is not the one we linked
                     */
    struct s3_answer answer;
    struct buf body;      /* an error document or a page */
    struct buf *contents; /* a get adds to it */
    struct buf entries;   /* a list adds the keys of its page: size (8 bytes, native), key, NUL */
};

#endif
