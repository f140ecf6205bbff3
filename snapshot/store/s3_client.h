/* The only module that knows libs3: it sends a call through it, and collects what its parsers deliver. */
#ifndef SNAPSHOT_STORE_S3_CLIENT_H
#define SNAPSHOT_STORE_S3_CLIENT_H

#include "base/err.h"
#include "snapshot/store/s3_call.h"

/* Global initialisation of libcurl, libxml2 and libs3, then a rehearsal without network: it proves that
 * libs3's transport is ours. Before other threads exist. Balanced by s3_client_stop(), which closes the
 * pooled connections after the last one. */
bool s3_client_start(struct err *err) CHECKED;
void s3_client_stop(void);

/* Carries the call out and fills its answer. False only if libs3 refused it or could not parse a page; a
 * transfer that failed or was answered with an error is for s3_judge(). Any thread. */
bool s3_client_run(struct s3_call *call, struct err *err) CHECKED;

/* Reads the entries of a call one after the other; *at begins as 0. False after the last one. */
bool s3_entries_next(const struct buf *entries, size_t *at, const char **ret_key, uint64_t *ret_size);

#endif
