/* SPDX-License-Identifier: MIT */
/* Isolated; counts the sockets, files and others among its descriptors beyond standard error. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bad.h"

static int count(const struct td_kernel_call *call)
{
        double *out = call->results[0].data;
        DIR *directory = opendir("/proc/self/fd");
        struct dirent *entry;

        memset(out, 0, (size_t)call->args[0].type.shape[0] * sizeof(double));
        while (directory && (entry = readdir(directory))) {
                struct stat status;
                int fd = atoi(entry->d_name);

                if (fd > 2 && fd != dirfd(directory) && fstat(fd, &status) == 0)
                        out[S_ISSOCK(status.st_mode) ? 0 : S_ISREG(status.st_mode) ? 1 : 2]++;
        }
        return directory ? closedir(directory) : 1;
}

BAD_KERNEL("descriptors", TD_KERNEL_ABI, TD_KERNEL_ISOLATE, NULL, count)
