#define _GNU_SOURCE
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void name_of(char name[32], uint64_t number) { snprintf(name, 32, "r%012llu", (unsigned long long)number); }

static int text_of(char text[64], uint64_t number)
{
    return snprintf(text, 64, "the file of record %llu\n", (unsigned long long)number);
}

int files_write(int folder, uint64_t number)
{
    char name[32], text[64];
    int length = text_of(text, number), error = 0;
    name_of(name, number);
    int file = openat(folder, name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (file < 0)
        return errno;
    errno = EIO;
    if (write(file, text, (size_t)length) != length || fsync(file))
        error = errno;
    close(file);
    if (!error && fsync(folder))
        error = errno;
    if (!error && number > FILE_EVERY * FILES_KEPT) {
        name_of(name, number - FILE_EVERY * FILES_KEPT);
        if (unlinkat(folder, name, 0) && errno != ENOENT)
            error = errno;
    }
    return error;
}

static const char *verify_one(int folder, uint64_t number)
{
    static char wrong[96];
    char name[32], text[64], found[64];
    int length = text_of(text, number);
    name_of(name, number);
    int file = openat(folder, name, O_RDONLY);
    ssize_t got = file < 0 ? -1 : read(file, found, sizeof found);
    if (file >= 0)
        close(file);
    if (got == length && !memcmp(text, found, (size_t)length))
        return NULL;
    snprintf(wrong, sizeof wrong, "file %s %s", name, file < 0 ? "is missing" : "holds something else");
    return wrong;
}

/* No file of a record that is not there, nor of one that is long gone. */
static const char *verify_names(int folder, uint64_t oldest, uint64_t top)
{
    static char wrong[320];
    DIR *list = fdopendir(openat(folder, ".", O_RDONLY | O_DIRECTORY));
    if (!list)
        return "the folder of small files cannot be read";
    const char *result = NULL;
    for (struct dirent *entry; !result && (entry = readdir(list));) {
        if (entry->d_name[0] == '.')
            continue;
        uint64_t number = strtoull(entry->d_name + 1, NULL, 10);
        if (entry->d_name[0] != 'r' || number % FILE_EVERY || number < oldest || number > top) {
            snprintf(wrong, sizeof wrong, "file %s should not be there", entry->d_name);
            result = wrong;
        }
    }
    closedir(list);
    return result;
}

const char *files_verify(int folder, uint64_t top)
{
    if (top && top % FILE_EVERY == 0 && verify_one(folder, top) && files_write(folder, top))
        return "the last file cannot be written";
    uint64_t last = top - top % FILE_EVERY;
    uint64_t oldest = last > FILE_EVERY * FILES_KEPT ? last - FILE_EVERY * (FILES_KEPT - 1) : FILE_EVERY;
    for (uint64_t number = oldest; number <= last; number += FILE_EVERY) {
        const char *wrong = verify_one(folder, number);
        if (wrong)
            return wrong;
    }
    if (oldest == FILE_EVERY)
        return verify_names(folder, FILE_EVERY, top);
    /* The removal of the one before the oldest is not made durable by itself: it is made up for, or it stays for ever. */
    const char *wrong = verify_names(folder, oldest - FILE_EVERY, top);
    char name[32];
    name_of(name, oldest - FILE_EVERY);
    if (!wrong && unlinkat(folder, name, 0) && errno != ENOENT)
        return "a file that is long gone cannot be removed";
    return wrong;
}
