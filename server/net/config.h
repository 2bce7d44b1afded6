/* SPDX-License-Identifier: MIT */
/*
 * Configuration
 *
 * What a daemon runs with, and what follows from the machine where nothing was said. Options are
 * read in main.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/quota.h"

/* As long as a socket's path can be, with the NUL. */
#define CONFIG_PATH_SIZE 108

struct user_kernels;

struct config {
        char socket_path[CONFIG_PATH_SIZE]; /* absolute */
        int listen_fd; /* handed over by systemd; -1: to be bound at the path */
        mode_t socket_mode;
        uint64_t memory_limit; /* bytes */
        unsigned n_threads;
        unsigned busy_poll_us;    /* 0: off */
        uint32_t max_connections; /* 0: as many as descriptors allow */
        struct quotas quotas;     /* what is said of none is 0 */
        uint64_t idle_exit_ms;    /* 0: never */
        const char *shm_directory;
        const char *spill_directory; /* NULL: none */
        uint64_t spill_free;         /* bytes of its file system that are left to others */
        const char *blas_core;
        const char *kernels;
        const char *cpu;
        const struct user_kernels *user_kernels; /* NULL: none */
};

/* "512", "64K", "1.5G", "2GiB": powers of 1024; K, M, G, T. 0, -EINVAL, or -ERANGE. */
int config_parse_size(const char *text, uint64_t *n_bytesp);
/* A decimal number in the range. 0, -EINVAL, or -ERANGE. */
int config_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *valuep);

/*
 * $TENSORD_SOCKET, $XDG_RUNTIME_DIR/tensord/socket, /run/tensord/socket (root),
 * /tmp/tensord-UID/socket: where the daemon listens if nothing was said. *is_oursp: the directory
 * is the daemon's own. 0 or -ENAMETOOLONG.
 */
int config_default_socket(char path[CONFIG_PATH_SIZE], bool *is_oursp);
/*
 * The directory of the socket, made (0700, or 0755 where root's clients are other users) if it is
 * not there. With is_ours it must belong to this uid and nobody else may write to it: -EPERM. Other
 * negative errno.
 */
int config_make_directory(const char *socket_path, bool is_ours);

/*
 * The smallest of 90 % of the file system's size, 75 % of the machine's memory, and 75 % of what
 * the control group may have. 0 or negative errno.
 */
int config_default_memory(const char *directory, uint64_t *n_bytesp);
/*
 * The directory that tensors are spilled to, made (0700) if it is not there; and how much it may
 * hold, if 0: nine tenths of its file system's size, of which a tenth stays free then, whoever took
 * the rest. 0 or negative errno.
 */
int config_make_spill(const char *directory, uint64_t *n_bytesp, uint64_t *n_freep);
/* Do files there take memory, as those of tmpfs do? */
bool config_is_memory(const char *directory);
/*
 * The bound that the process's control group, or one above it, sets to its memory, UINT64_MAX:
 * none. root: where the hierarchy is mounted; path: a file as /proc/self/cgroup.
 */
uint64_t config_memory_max(const char *root, const char *path);
/*
 * How much of everything there is for all users, where nothing was said: memory_limit of the
 * tensors' own, and other things in proportion, so that all of it stays below a fifth more.
 */
void config_default_quotas(struct quotas *quotas, uint64_t memory_limit, uint64_t n_connections);
/* May other users than the daemon's own connect to a socket with these permissions? */
bool config_is_shared(mode_t mode, uid_t owner);
/* Processors that this process may run on. */
unsigned config_default_threads(void);
/* Let this process have as many descriptors as it may; returns how many. */
uint64_t config_raise_descriptors(void);
/*
 * Where to remember which core of OpenBLAS suits this machine: in $RUNTIME_DIRECTORY, or among the
 * user's caches (the directory is made). 0, or negative errno if there is no such place.
 */
int config_cache_path(char *path, size_t n_path);
/* The processor's model name; "unknown" if the kernel does not say. */
void config_cpu_name(char *out, size_t n_out);
