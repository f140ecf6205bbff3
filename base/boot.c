#include "base/boot.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <fcntl.h>
#include <string.h>

void boot_id(char ret_id[static BOOT_ID_SIZE])
{
    CLEANUP(close_fdp) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    struct err ignored = {0};

    memset(ret_id, 0, BOOT_ID_SIZE);
    if (fd < 0 || !fs_read_at(fd, ret_id, BOOT_ID_SIZE - 1, 0, &ignored))
        memset(ret_id, 0, BOOT_ID_SIZE); /* half a name is none */
}
