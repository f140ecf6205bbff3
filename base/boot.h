/* Which run of the machine this is: what a process left in memory and in the page cache is still there if it
 * is the same, and may not be if it is another (random(4), /proc/sys/kernel/random/boot_id). Any thread. */
#ifndef BASE_BOOT_H
#define BASE_BOOT_H

enum { BOOT_ID_SIZE = 37 };

/* Its name, a UUID; "" where the system doesn't tell. */
void boot_id(char ret_id[static BOOT_ID_SIZE]);

#endif
