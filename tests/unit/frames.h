/* SPDX-License-Identifier: MIT */
/*
 * Golden frames of tests/golden, for tests of codecs.
 */
#pragma once

#include <check.h>
#include <ctype.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct frame {
        char name[128]; /* without ".hex" */
        uint8_t *bytes; /* exactly n_bytes of heap, so that a sanitizer sees a read beyond */
        size_t n_bytes;
};

static inline struct frame frame_read(const char *file)
{
        struct frame frame = { .bytes = NULL };
        char path[8192], line[512];
        uint8_t bytes[65536];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", TEST_FRAMES, file);
        f = fopen(path, "r");
        ck_assert_msg(f != NULL, "%s is not there", path);
        while (fgets(line, sizeof(line), f)) {
                line[strcspn(line, "#\n")] = '\0';
                for (char *p = line; *p;) {
                        unsigned byte;
                        int n_read = 0;

                        if (isspace((unsigned char)*p)) {
                                p++;
                                continue;
                        }
                        ck_assert_msg(sscanf(p, "%2x%n", &byte, &n_read) == 1 && n_read == 2,
                                      "%s: %s", path, p);
                        ck_assert_uint_lt(frame.n_bytes, sizeof(bytes));
                        bytes[frame.n_bytes++] = (uint8_t)byte;
                        p += 2;
                }
        }
        fclose(f);
        ck_assert_uint_gt(frame.n_bytes, 0);
        frame.bytes = malloc(frame.n_bytes);
        ck_assert_ptr_nonnull(frame.bytes);
        memcpy(frame.bytes, bytes, frame.n_bytes);
        snprintf(frame.name, sizeof(frame.name), "%.*s", (int)strcspn(file, "."), file);
        return frame;
}

/* Calls fn for every frame whose name begins with prefix; returns how many there were. */
static inline unsigned frames_each(const char *prefix, void (*fn)(const struct frame *frame))
{
        DIR *directory = opendir(TEST_FRAMES);
        struct dirent *entry;
        unsigned n = 0;

        ck_assert_ptr_nonnull(directory);
        while ((entry = readdir(directory))) {
                struct frame frame;

                if (strncmp(entry->d_name, prefix, strlen(prefix)) ||
                    !strstr(entry->d_name, ".hex"))
                        continue;
                frame = frame_read(entry->d_name);
                fn(&frame);
                free(frame.bytes);
                n++;
        }
        closedir(directory);
        return n;
}
