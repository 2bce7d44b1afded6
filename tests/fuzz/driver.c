/* SPDX-License-Identifier: MIT */
/*
 * Runs a target over the files that it is given, without an engine: to reproduce what was found in
 * a build of any compiler, and to measure what a corpus covers.
 */
#include <stdlib.h>

#include "fuzz.h"

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                FILE *file = fopen(argv[i], "rb");
                uint8_t *bytes;
                long n;

                if (!file || fseek(file, 0, SEEK_END) || (n = ftell(file)) < 0) {
                        perror(argv[i]);
                        return 1;
                }
                rewind(file);
                bytes = malloc((size_t)n + 1);
                if (!bytes || fread(bytes, 1, (size_t)n, file) != (size_t)n) {
                        perror(argv[i]);
                        return 1;
                }
                fclose(file);
                LLVMFuzzerTestOneInput(bytes, (size_t)n);
                free(bytes);
        }
        printf("%d inputs\n", argc - 1);
        return 0;
}
