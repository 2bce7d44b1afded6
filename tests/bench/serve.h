/* SPDX-License-Identifier: MIT */
/*
 * Serving measurements
 *
 * A helper program of the bench reads lines on stdin and answers each with a line on stdout:
 *
 *   prepare WORK ARGUMENT...   make ready to measure it, forget what was prepared before
 *   time N                     do it N times
 *   save PATH                  do it once and write the bytes of its result to a file
 *
 * The answer is "ok" and, after prepare, words that describe the helper, after time the seconds of
 * each, after save the number of bytes (0: the work has no result); or "no" and why not. So the
 * driver can let several programs take turns.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVE_WORDS 8
#define SERVE_COUNT 1000000L /* of measurements that one line asks for */

struct serve_work {
        const char *name;
        int n_arguments;
        /* Print a line with serve_ok() or serve_no(). true if it can be timed. */
        bool (*prepare)(char **arguments);
        /* seconds has room for n. NULL or why it failed. */
        const char *(*time)(double *seconds, long n);
        void (*forget)(void); /* may be NULL */
        /* Computes what the driver compares, in C order. NULL: there is none. */
        const void *(*result)(size_t *n_bytesp);
};

static inline double serve_now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

__attribute__((format(printf, 1, 2)))
static inline bool serve_ok(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        fputs("ok ", stdout);
        vprintf(format, args);
        va_end(args);
        putchar('\n');
        return true;
}

static inline bool serve_no(const char *why)
{
        printf("no %s\n", why);
        return false;
}

static inline void serve_time(const struct serve_work *work, long n)
{
        double *seconds = n > 0 && n <= SERVE_COUNT ? calloc((size_t)n, sizeof(*seconds)) : NULL;
        const char *problem = work ? "that many do not fit" : "nothing is prepared";

        if (work && seconds)
                problem = work->time(seconds, n);
        if (problem) {
                serve_no(problem);
        } else {
                fputs("ok", stdout);
                for (long i = 0; i < n; i++)
                        printf(" %.9g", seconds[i]);
                putchar('\n');
        }
        free(seconds);
}

static inline void serve_save(const struct serve_work *work, const char *path)
{
        const void *result = NULL;
        size_t n_bytes = 0;
        FILE *file;
        bool ok;

        if (work && work->result)
                result = work->result(&n_bytes);
        file = fopen(path, "wb");
        ok = file && fwrite(result ? result : "", 1, n_bytes, file) == n_bytes;
        if (file)
                ok = fclose(file) == 0 && ok;
        if (ok)
                serve_ok("%zu", n_bytes);
        else
                serve_no("the file cannot be written");
}

static inline const struct serve_work *serve_find(const struct serve_work *works, const char *name,
                                                  int n_arguments)
{
        for (; works->name; works++)
                if (!strcmp(works->name, name) && works->n_arguments == n_arguments)
                        return works;
        return NULL;
}

/* Until stdin ends. works ends with a name of NULL. */
static inline int serve(const struct serve_work *works)
{
        const struct serve_work *current = NULL;
        char line[4096];

        while (fgets(line, sizeof(line), stdin)) {
                char *words[SERVE_WORDS + 1] = { NULL }, *rest = line;
                int n = 0;

                while (n < SERVE_WORDS && (words[n] = strtok_r(n ? NULL : line, " \n", &rest)))
                        n++;
                if (n == 2 && !strcmp(words[0], "time")) {
                        serve_time(current, strtol(words[1], NULL, 10));
                } else if (n == 2 && !strcmp(words[0], "save")) {
                        serve_save(current, words[1]);
                } else if (n >= 2 && !strcmp(words[0], "prepare")) {
                        if (current && current->forget)
                                current->forget();
                        current = serve_find(works, words[1], n - 2);
                        if (!current)
                                serve_no("there is no such work");
                        else if (!current->prepare(words + 2))
                                current = NULL;
                } else {
                        serve_no("prepare WORK ARGUMENT..., time N or save PATH");
                }
                fflush(stdout);
        }
        if (current && current->forget)
                current->forget();
        return 0;
}
