/* The credentials of an S3 store: given as values, or in files that a platform renews.
 *
 * Any thread may call everything here. Nothing prints a secret, and the key id counts as one. */
#ifndef SNAPSHOT_STORE_CREDENTIALS_H
#define SNAPSHOT_STORE_CREDENTIALS_H

#include "snapshot/store/config.h"

struct credentials;

/* A copy to sign one request with. */
struct credential_set {
    char *access_key_id;
    char *secret_access_key;
    char *session_token; /* NULL: none */
    unsigned generation; /* changes when the files' content does */
};

/* Reads what config names, which must outlive this. ERR_CONFIG names the variable that is missing, unreadable
 * or malformed. */
bool credentials_open(const struct store_config *config, struct credentials **ret_credentials,
                      struct err *err) CHECKED;
/* NULL is fine. */
void credentials_free(struct credentials *credentials);

void credentials_copy(struct credentials *credentials, struct credential_set *ret_set);
/* Wipes and frees the strings. */
void credential_set_clear(struct credential_set *set);

/* After the store refused the set of that generation: true if there are other credentials now, because the
 * files have changed since. Files that can't be read leave what there was. */
bool credentials_renewed(struct credentials *credentials, unsigned generation);

DEFINE_CLEANUP(struct credentials *, credentials_free, credentials_freep)

#endif
