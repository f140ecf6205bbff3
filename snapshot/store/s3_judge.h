/* What an answer means, in our codes and in the operator's words. Pure. */
#ifndef SNAPSHOT_STORE_S3_JUDGE_H
#define SNAPSHOT_STORE_S3_JUDGE_H

#include "snapshot/store/s3_call.h"

/* What the sentences name. */
struct s3_names {
    const char *bucket;
    const char *endpoint; /* "https://host" */
    const char *region;
    const char *key;           /* the object, or the listed prefix */
    const char *access_key_id; /* never printed: a server's message that repeats it is left out */
    int64_t skew_ns;           /* the store's clock minus ours */
};

/* True if the call succeeded. HTTP status and error code decide, as the contract in store.h says. */
bool s3_judge(const struct s3_call *call, const struct s3_names *names, struct err *err) CHECKED;

/* The store refused the credentials in a way that renewed ones would mend. */
bool s3_answer_wants_new_credentials(const struct s3_call *call);
/* The store refused the time of the signature. */
bool s3_answer_wants_other_time(const struct s3_call *call);

#endif
