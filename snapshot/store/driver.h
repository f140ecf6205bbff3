/* The drivers, for store_open() only. Each checks what can be checked locally and makes no request; errors,
 * lifetimes and threads are those of store_open(). */
#ifndef SNAPSHOT_STORE_DRIVER_H
#define SNAPSHOT_STORE_DRIVER_H

#include "snapshot/store/config.h"

bool dir_open(const struct store_config *config, const atomic_bool *canceled, struct store **ret_store,
              struct err *err) CHECKED;
bool s3_open(const struct store_config *config, const atomic_bool *canceled, struct store **ret_store,
             struct err *err) CHECKED;

#endif
