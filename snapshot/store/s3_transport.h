/* What libs3 takes for libcurl: the wrapped calls (`ld --wrap`, see the Makefile) that put our request in the
 * place of its own.
 *
 * While a call is current on a thread, libs3's options are recorded or dropped and its transfer is ours.
 * Without one, every transfer fails: nothing that libs3 composed itself can ever be sent. Forgetting --wrap
 * is a link error; a libs3 that was linked dynamically leaves call->performed false. */
#ifndef SNAPSHOT_STORE_S3_TRANSPORT_H
#define SNAPSHOT_STORE_S3_TRANSPORT_H

#include "snapshot/store/s3_call.h"

/* Makes call the current one of this thread until s3_transport_leave(). Not nested. */
void s3_transport_enter(struct s3_call *call);
void s3_transport_leave(void);

/* "7.88.1": the libcurl that is loaded. Static. */
const char *s3_transport_version(void);

#endif
