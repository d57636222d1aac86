/* The small files of an ext4 disk: one for every 25th record, the newest 40 kept. They make the file system's own
   metadata part of what is checked. */
#ifndef FILES_H
#define FILES_H
#include <stdint.h>

#define FILE_EVERY 25
#define FILES_KEPT 40

/* Write the file of record `number`, make it and its name durable, remove the oldest. 0 or errno. */
int files_write(int folder, uint64_t number);

/* NULL when the files are those that the records 1 to `top` leave, else what is wrong. The file of record `top`
   itself may be missing or half: the record comes first; it is written (again) here. */
const char *files_verify(int folder, uint64_t top);

#endif
