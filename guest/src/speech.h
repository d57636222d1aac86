/* What the guest says on its serial line: one fact a line, whole on the line before the guest goes on. */
#ifndef SPEECH_H
#define SPEECH_H

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Say it, and end the process with status 1. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Seconds of a clock that only goes forward. */
double now(void);

#endif
