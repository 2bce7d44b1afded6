/* SPDX-License-Identifier: MIT */
/*
 * .npy files
 *
 * Numpy's format for one array (versions 1 to 3; numpy.lib.format describes it): a magic string, a
 * Python dictionary with dtype, order and shape, and the bytes. Arrays of objects hold pickles, not
 * data, and are refused, as is every dtype that tensors do not have.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tensord/tensord.h"

struct npy {
        struct td_type type;
        char order;     /* 'C' or 'F' */
        size_t offset;  /* of the data */
        size_t n_bytes; /* of the data */
};

/*
 * Read the header of a file of n_file bytes that begins with these n. TD_OK, TD_E_BAD_FILE,
 * TD_E_UNSUPPORTED_DTYPE, or what a shape is refused for.
 */
int npy_parse(const uint8_t *bytes, size_t n, size_t n_file, struct npy *npy, td_error *error);
/* Returns the header's length, at most n_out (1024 is enough). */
size_t npy_format(uint8_t *out, size_t n_out, const struct td_type *type, char order);

/* A file in memory. */
struct npy_file {
        struct npy npy;
        void *address;
        size_t n_bytes;
};

int npy_open(const char *path, struct npy_file *file, td_error *error);
void npy_close(struct npy_file *file);
/* Write an array of any strides; a regular file appears whole or not at all. */
int npy_write(const char *path, const struct td_type *type, const int64_t *strides,
              const void *data, td_error *error);
