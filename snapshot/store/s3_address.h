/* Where an S3 bucket answers: the parts of every request's URL that the configuration decides. Pure. */
#ifndef SNAPSHOT_STORE_S3_ADDRESS_H
#define SNAPSHOT_STORE_S3_ADDRESS_H

#include "snapshot/store/config.h"

struct s3_address {
    char *origin; /* "https://bucket.host:port": what comes before the path */
    char *host;   /* "bucket.host:port": the Host header, without the scheme's own port */
    char *path;   /* "", "/bucket", "/base/path/bucket": what comes before "/key"; not encoded */
    char *region; /* goes into the signature */
};

/* From endpoint, account, bucket, region and path_style. A bucket becomes part of the host only where that
 * can work: not below a base path or at an IP address, nor over TLS if its name has dots (no
 * certificate matches). ERR_CONFIG names the variable. */
bool s3_address_init(struct s3_address *address, const struct store_config *config, struct err *err) CHECKED;
void s3_address_clear(struct s3_address *address);

#endif
