/* SPDX-License-Identifier: MIT */
#include "compute/user/user_kernel.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"

#define SYMBOL "tensord_kernel"
#define MESSAGE 256
#define DIM_UNKNOWN (-1) /* a name that no argument has */

/* ---- loading ---- */

/* Can nobody but root and this user write to it? */
static bool is_trusted(const struct stat *status)
{
        return (status->st_uid == 0 || status->st_uid == geteuid()) &&
               (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool is_name(const char *name)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
        static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

        return name && strspn(name, letters) > 0 && strspn(name, rest) == strlen(name) &&
               strlen(name) <= USER_KERNEL_NAME_MAX;
}

/* What is wrong with a kernel, or NULL. */
static const char *find_fault(const struct td_kernel *kernel, struct user_signature *signature)
{
        if (kernel->struct_size < sizeof(*kernel) || kernel->abi != TD_KERNEL_ABI)
                return "it was compiled for another version of tensord/kernel.h";
        if (!is_name(kernel->name))
                return "its name is not lower-case letters, digits and _";
        if (!kernel->version || !kernel->doc || !kernel->signature || !kernel->run)
                return "version, doc, signature or run is missing";
        if (kernel->flags & ~(uint32_t)TD_KERNEL_ISOLATE)
                return "it has flags that are not known here";
        if (user_signature_parse(signature, kernel->signature))
                return "its signature is not of the form (n),()->(n)";
        return NULL;
}

static struct user_kernel *user_kernel_free(struct user_kernel *kernel)
{
        if (!kernel)
                return NULL;
        if (kernel->library)
                dlclose(kernel->library);
        free(kernel->path);
        free(kernel);
        return NULL;
}
DEFINE_CLEANUP(struct user_kernel, user_kernel_free)

static int infer_op(const struct td_user_op *op, const struct td_type *args,
                    struct td_type *results, struct td_refusal *refusal)
{
        const struct user_kernel *kernel = container_of(op, struct user_kernel, op);
        uint64_t n_scratch;

        return user_kernel_infer(kernel, args, results, &n_scratch, refusal);
}

/* 0, -ENOMEM, or -EINVAL and what is wrong. */
static int load_one(struct user_kernel **kernelp, const char *path, const char **faultp)
{
        _cleanup_(user_kernel_freep) struct user_kernel *kernel = calloc(1, sizeof(*kernel));
        struct stat status;

        if (!kernel)
                return -ENOMEM;
        kernel->path = realpath(path, NULL);
        if (!kernel->path || stat(kernel->path, &status)) {
                *faultp = strerror(errno);
                return -EINVAL;
        }
        if (!S_ISREG(status.st_mode) || !is_trusted(&status)) {
                *faultp = "it is no regular file of root or of this user that nobody else may "
                          "write";
                return -EINVAL;
        }
        kernel->library = dlopen(kernel->path, RTLD_NOW | RTLD_LOCAL);
        kernel->kernel = kernel->library ? dlsym(kernel->library, SYMBOL) : NULL;
        if (!kernel->kernel) {
                *faultp = dlerror();
                return -EINVAL;
        }
        *faultp = find_fault(kernel->kernel, &kernel->signature);
        if (*faultp)
                return -EINVAL;
        kernel->op = (struct td_user_op){ .name = kernel->kernel->name,
                                          .n_args = kernel->signature.n_args,
                                          .n_results = kernel->signature.n_results,
                                          .infer = infer_op };
        *kernelp = steal_ptr(&kernel);
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        const struct user_kernel *x = *(struct user_kernel *const *)a;
        const struct user_kernel *y = *(struct user_kernel *const *)b;

        return strcmp(x->op.name, y->op.name);
}

static int add_one(struct user_kernels *kernels, const char *path)
{
        _cleanup_(user_kernel_freep) struct user_kernel *kernel = NULL;
        struct user_kernel **more;
        const char *fault = NULL;
        int r;

        r = load_one(&kernel, path, &fault);
        if (r == 0 && user_kernels_find(kernels, kernel->op.name))
                fault = "another file has a kernel of that name";
        if (r == -ENOMEM)
                return r;
        if (fault) {
                log_warning("user kernel %s is not used: %s", path, fault);
                return 0;
        }
        more = reallocarray(kernels->kernels, kernels->n + 1, sizeof(struct user_kernel *));
        if (!more)
                return -ENOMEM;
        log_info("user kernel %s %s: %s", kernel->op.name, kernel->kernel->version, path);
        kernels->kernels = more;
        kernels->kernels[kernels->n++] = steal_ptr(&kernel);
        qsort(kernels->kernels, kernels->n, sizeof(struct user_kernel *), compare_names);
        return 0;
}

static int is_object(const struct dirent *entry)
{
        size_t n = strlen(entry->d_name);

        return n > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 3, ".so") == 0;
}

static int add_directory(struct user_kernels *kernels, const char *directory, char *message,
                         size_t n_message)
{
        struct dirent **entries = NULL;
        struct stat status;
        int n, r = 0;

        n = stat(directory, &status) ? -1 : scandir(directory, &entries, is_object, alphasort);
        if (n < 0 || !is_trusted(&status)) {
                snprintf(message, n_message, "%s: %s", directory,
                         n < 0 ? strerror(errno)
                               : "belongs to another user, or others may write to it");
                r = USER_KERNEL_E_DIRECTORY;
        }
        for (int i = 0; i < n; i++) {
                _cleanup_(freep) char *path = NULL;

                if (r == 0)
                        r = asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0
                                    ? -ENOMEM
                                    : add_one(kernels, path);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int user_kernels_load(struct user_kernels **kernelsp, const char *directory, char *message,
                      size_t n_message)
{
        _cleanup_(user_kernels_freep) struct user_kernels *kernels = calloc(1, sizeof(*kernels));
        int r;

        if (!kernels)
                return error_origin(-ENOMEM);
        r = add_directory(kernels, directory, message, n_message);
        if (r)
                return r;
        *kernelsp = steal_ptr(&kernels);
        return 0;
}

struct user_kernels *user_kernels_free(struct user_kernels *kernels)
{
        if (!kernels)
                return NULL;
        for (uint32_t i = 0; i < kernels->n; i++)
                user_kernel_free(kernels->kernels[i]);
        free(kernels->kernels);
        free(kernels);
        return NULL;
}

const struct user_kernel *user_kernels_find(const struct user_kernels *kernels, const char *name)
{
        for (uint32_t i = 0; kernels && i < kernels->n; i++)
                if (strcmp(kernels->kernels[i]->op.name, name) == 0)
                        return kernels->kernels[i];
        return NULL;
}

int user_kernels_resolve(const struct user_kernels *kernels, struct td_block *block,
                         struct td_refusal *refusal)
{
        for (uint32_t i = 0; i < block->n_nodes; i++) {
                struct td_node *node = &block->nodes[i];
                int r = TD_OK;

                if (node->op == TD_OP_USER) {
                        const struct user_kernel *kernel = user_kernels_find(kernels, node->name);

                        node->user = kernel ? &kernel->op : NULL;
                        if (!kernel)
                                r = td_refuse(refusal, TD_E_UNKNOWN_OP,
                                              "there is no user kernel \"%s\"", node->name);
                }
                if (node->loop) {
                        r = user_kernels_resolve(kernels, &node->loop->body, refusal);
                        if (r)
                                td_refuse_body(refusal, node->loop->is_while);
                }
                if (r) {
                        if (refusal)
                                refusal->node = (int32_t)i;
                        return r;
                }
        }
        return TD_OK;
}

/* ---- inference ---- */

/* Do shapes match the signature? Extents of names become known on the way. */
static int match(const struct user_kernel *kernel, uint32_t first, uint32_t n,
                 const struct td_type *types, int64_t *extents, struct td_refusal *refusal)
{
        const struct user_signature *signature = &kernel->signature;

        for (uint32_t i = 0; i < n; i++) {
                const struct td_type *type = &types[i];
                const char *what = first ? "result" : "argument";
                bool fits = type->ndim == signature->ndim[first + i];

                for (unsigned d = 0; fits && d < type->ndim; d++) {
                        int64_t *extent = &extents[signature->dims[first + i][d]];

                        if (*extent == DIM_UNKNOWN)
                                *extent = type->shape[d];
                        fits = *extent == type->shape[d];
                }
                if (!fits)
                        return td_refuse(refusal, TD_E_SHAPE_MISMATCH,
                                         "user.%s: shape %s of %s %u does not match the signature "
                                         "%s",
                                         kernel->op.name, td_type_text(type).s, what, i,
                                         kernel->kernel->signature);
        }
        return TD_OK;
}

/* Result types before the kernel is asked; names that no argument has get extent 0. */
static void propose(const struct user_kernel *kernel, const struct td_type *args,
                    const int64_t *extents, struct td_type *results)
{
        const struct user_signature *signature = &kernel->signature;

        for (uint32_t i = 0; i < signature->n_results; i++) {
                const uint8_t *dims = signature->dims[signature->n_args + i];

                results[i] = (struct td_type){ .dtype = TD_FLOAT64 };
                if (signature->n_args > 0)
                        results[i].dtype = args[0].dtype;
                results[i].ndim = signature->ndim[signature->n_args + i];
                for (unsigned d = 0; d < results[i].ndim; d++)
                        results[i].shape[d] = extents[dims[d]] == DIM_UNKNOWN ? 0
                                                                              : extents[dims[d]];
        }
}

int user_kernel_infer(const struct user_kernel *kernel, const struct td_type *args,
                      struct td_type *results, uint64_t *n_scratchp, struct td_refusal *refusal)
{
        const struct user_signature *signature = &kernel->signature;
        char message[MESSAGE] = "";
        int64_t extents[UINT8_MAX];
        struct td_kernel_types types = { .struct_size = sizeof(types),
                                         .n_args = signature->n_args,
                                         .n_results = signature->n_results,
                                         .args = args,
                                         .results = results,
                                         .message = message,
                                         .n_message = sizeof(message) };
        int r;

        for (unsigned i = 0; i < signature->n_names; i++)
                extents[i] = DIM_UNKNOWN;
        r = match(kernel, 0, signature->n_args, args, extents, refusal);
        if (r)
                return r;
        propose(kernel, args, extents, results);
        if (kernel->kernel->infer && kernel->kernel->infer(&types)) {
                message[sizeof(message) - 1] = '\0';
                return td_refuse(refusal, TD_E_KERNEL_FAILED, "user.%s: refused: %s",
                                 kernel->op.name, *message ? message : "infer failed");
        }
        for (uint32_t i = 0; i < signature->n_results; i++) {
                r = td_check_type_of(kernel->op.name, &results[i], refusal);
                if (r)
                        return r;
        }
        *n_scratchp = types.n_scratch;
        return match(kernel, signature->n_args, signature->n_results, results, extents, refusal);
}
