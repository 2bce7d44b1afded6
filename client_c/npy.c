/* SPDX-License-Identifier: MIT */
#include "npy.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "tensord/infer_client.h"
#include "tensord/npy.h"

/* ---- the dictionary ---- */

struct text {
        const char *at;
        const char *end;
};

static void skip_space(struct text *t)
{
        while (t->at < t->end && isspace((unsigned char)*t->at))
                t->at++;
}

static bool skip_char(struct text *t, char c)
{
        skip_space(t);
        if (t->at >= t->end || *t->at != c)
                return false;
        t->at++;
        return true;
}

/* A quoted string without escapes. */
static bool take_string(struct text *t, struct text *string)
{
        char quote;

        skip_space(t);
        if (t->at >= t->end || (*t->at != '\'' && *t->at != '"'))
                return false;
        quote = *t->at++;
        string->at = t->at;
        while (t->at < t->end && *t->at != quote)
                t->at++;
        string->end = t->at;
        return skip_char(t, quote);
}

static bool take_word(struct text *t, const char *word)
{
        size_t n = strlen(word);

        skip_space(t);
        if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0)
                return false;
        t->at += n;
        return true;
}

static bool take_extent(struct text *t, int64_t *extent)
{
        int64_t n = 0;
        const char *first;

        skip_space(t);
        first = t->at;
        for (; t->at < t->end && isdigit((unsigned char)*t->at); t->at++)
                if (__builtin_mul_overflow(n, 10, &n) ||
                    __builtin_add_overflow(n, *t->at - '0', &n))
                        return false;
        *extent = n;
        return t->at > first;
}

/* TD_OK, TD_E_BAD_FILE, or TD_E_RANK_LIMIT */
static int take_shape(struct text *t, struct td_type *type)
{
        type->ndim = 0;
        if (!skip_char(t, '('))
                return TD_E_BAD_FILE;
        while (!skip_char(t, ')')) {
                int64_t extent;

                if (!take_extent(t, &extent))
                        return TD_E_BAD_FILE;
                if (type->ndim == TD_NDIM_MAX)
                        return TD_E_RANK_LIMIT;
                type->shape[type->ndim++] = extent;
                if (!skip_char(t, ',')) {
                        skip_space(t);
                        if (t->at >= t->end || *t->at != ')')
                                return TD_E_BAD_FILE;
                }
        }
        return TD_OK;
}

/* ---- the dtype ---- */

static int fail_dtype(const char *name, size_t n_name, td_error *error)
{
        bool is_object = n_name > 0 && name[n_name - 1] == 'O';

        return error_set(
                error, TD_E_UNSUPPORTED_DTYPE,
                is_object ? "the file holds Python objects (dtype '%.*s'), which are no tensor"
                          : "dtype '%.*s' is none of bool (|b1), int64 (<i8), float32 (<f4), "
                            "float64 (<f8)",
                (int)(n_name < 100 ? n_name : 100), name);
}

static int take_dtype(struct text *t, struct td_type *type, td_error *error)
{
        struct text name;

        skip_space(t);
        if (t->at < t->end && *t->at == '[')
                return error_set(
                        error, TD_E_UNSUPPORTED_DTYPE,
                        "the file holds records (a structured dtype), which are no tensor");
        if (!take_string(t, &name))
                return error_set(error, TD_E_BAD_FILE, "the header's descr is no dtype");
        for (unsigned i = 0; i < TD_N_DTYPES; i++) {
                if (td_is_name(td_dtype_info(i)->npy, name.at, (size_t)(name.end - name.at))) {
                        type->dtype = (uint8_t)i;
                        return TD_OK;
                }
        }
        return fail_dtype(name.at, (size_t)(name.end - name.at), error);
}

/* ---- the header ---- */

static int parse_entry(struct text *t, struct npy *npy, unsigned *seen, td_error *error)
{
        struct text key;
        int r = TD_OK;

        if (!take_string(t, &key) || !skip_char(t, ':'))
                return error_set(error, TD_E_BAD_FILE, "the header is no dictionary");
        if (td_is_name("descr", key.at, (size_t)(key.end - key.at))) {
                *seen |= 1;
                return take_dtype(t, &npy->type, error);
        }
        if (td_is_name("fortran_order", key.at, (size_t)(key.end - key.at))) {
                *seen |= 2;
                if (take_word(t, "True"))
                        npy->order = 'F';
                else if (take_word(t, "False"))
                        npy->order = 'C';
                else
                        r = error_set(error, TD_E_BAD_FILE,
                                      "the header's fortran_order is neither True nor False");
                return r;
        }
        if (!td_is_name("shape", key.at, (size_t)(key.end - key.at)))
                return error_set(error, TD_E_BAD_FILE, "the header has an unknown key '%.*s'",
                                 (int)(key.end - key.at), key.at);
        *seen |= 4;
        r = take_shape(t, &npy->type);
        if (r == TD_E_RANK_LIMIT)
                return error_set(error, r, "the array has more dimensions than the limit of %d",
                                 TD_NDIM_MAX);
        return r ? error_set(error, r, "the header's shape is no tuple of extents") : TD_OK;
}

static int parse_dictionary(struct text t, struct npy *npy, td_error *error)
{
        unsigned seen = 0;

        if (!skip_char(&t, '{'))
                return error_set(error, TD_E_BAD_FILE, "the header is no dictionary");
        while (!skip_char(&t, '}')) {
                int r = parse_entry(&t, npy, &seen, error);

                if (r)
                        return r;
                skip_char(&t, ',');
        }
        if (seen != 7)
                return error_set(error, TD_E_BAD_FILE,
                                 "the header wants descr, fortran_order and shape");
        return TD_OK;
}

int npy_parse(const uint8_t *bytes, size_t n, size_t n_file, struct npy *npy, td_error *error)
{
        size_t n_length, n_header = 0;
        struct td_refusal refusal;
        int r;

        if (n < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3)
                return error_set(
                        error, TD_E_BAD_FILE,
                        "the file does not begin as a .npy file of version 1, 2 or 3 does");
        n_length = bytes[6] == 1 ? 2 : 4;
        for (size_t i = n_length; i > 0 && 8 + n_length <= n; i--)
                n_header = n_header << 8 | bytes[8 + i - 1];
        if (n_header == 0 || n - 8 < n_length || n_header > n - 8 - n_length)
                return error_set(error, TD_E_BAD_FILE, "the file ends within its header");
        memset(npy, 0, sizeof(*npy));
        npy->offset = 8 + n_length + n_header;
        r = parse_dictionary((struct text){ (const char *)bytes + 8 + n_length,
                                            (const char *)bytes + npy->offset },
                             npy, error);
        if (r)
                return r;
        if (td_check_type(&npy->type, &refusal))
                return error_set(error, refusal.code, "%s", refusal.message);
        npy->n_bytes = (size_t)td_type_n_bytes(&npy->type);
        if (npy->n_bytes > n_file - npy->offset)
                return error_set(error, TD_E_BAD_FILE,
                                 "the file has %zu bytes of data, but its header wants %zu",
                                 n_file - npy->offset, npy->n_bytes);
        return TD_OK;
}

size_t npy_format(uint8_t *out, size_t n_out, const struct td_type *type, char order)
{
        return td_npy_write(out, n_out, 64, type, order == 'F');
}

/* ---- files ---- */

int npy_open(const char *path, struct npy_file *file, td_error *error)
{
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC), r;

        if (fd < 0)
                return error_set(error, TD_E_SYSTEM, "%s: %s", path, strerror(errno));
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                close(fd);
                return error_set(error, TD_E_BAD_FILE, "%s: is no regular file", path);
        }
        file->n_bytes = (size_t)st.st_size;
        file->address = file->n_bytes ? mmap(NULL, file->n_bytes, PROT_READ, MAP_PRIVATE, fd, 0)
                                      : NULL;
        close(fd);
        if (file->address == MAP_FAILED)
                return error_set(error, TD_E_CLIENT_MEMORY, "%s: %s", path, strerror(errno));
        r = npy_parse(file->address, file->n_bytes, file->n_bytes, &file->npy, error);
        if (r) {
                char message[sizeof(error->message)];

                if (error) {
                        memcpy(message, error->message, sizeof(message));
                        error_set(error, r, "%.200s: %.300s", path, message);
                }
                npy_close(file);
        }
        return r;
}

void npy_close(struct npy_file *file)
{
        if (file->address)
                munmap(file->address, file->n_bytes);
        file->address = NULL;
}

static int write_all(int fd, const void *bytes, size_t n_bytes)
{
        const uint8_t *at = bytes;

        while (n_bytes > 0) {
                ssize_t n = write(fd, at, n_bytes);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                at += n;
                n_bytes -= (size_t)n;
        }
        return 0;
}

static bool is_dense(const struct td_type *type, char order, const int64_t *strides)
{
        int64_t dense[TD_NDIM_MAX];

        dense_strides(type, order, dense);
        for (unsigned i = 0; i < type->ndim; i++)
                if (type->shape[i] > 1 && dense[i] != strides[i])
                        return false;
        return true;
}

static int write_array(int fd, const struct td_type *type, const int64_t *strides, const void *data)
{
        char order = !is_dense(type, 'C', strides) && is_dense(type, 'F', strides) ? 'F' : 'C';
        size_t n_bytes = (size_t)td_type_n_bytes(type);
        uint8_t header[1024];
        void *copy = NULL;
        int r = write_all(fd, header, npy_format(header, sizeof(header), type, order));

        if (r == 0 && !is_dense(type, order, strides)) {
                copy = malloc(n_bytes ? n_bytes : 1);
                if (!copy)
                        return -ENOMEM;
                copy_array(copy, type, order, data, strides);
        }
        if (r == 0)
                r = write_all(fd, copy ? copy : data, n_bytes);
        free(copy);
        return r;
}

int npy_write(const char *path, const struct td_type *type, const int64_t *strides,
              const void *data, td_error *error)
{
        struct stat st;
        bool is_special = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
        char *temporary;
        int fd, r;

        if (asprintf(&temporary, is_special ? "%s" : "%s.%ld.part", path, (long)getpid()) < 0)
                return fail_no_memory(error);
        fd = open(temporary,
                  is_special ? O_WRONLY | O_CLOEXEC : O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                  0666);
        r = fd < 0 ? -errno : write_array(fd, type, strides, data);
        if (fd >= 0 && close(fd) < 0 && r == 0)
                r = -errno;
        if (r == 0 && !is_special && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0 && fd >= 0 && !is_special)
                unlink(temporary);
        free(temporary);
        return r < 0 ? error_set(error, TD_E_SYSTEM, "%s: %s", path, strerror(-r)) : TD_OK;
}
