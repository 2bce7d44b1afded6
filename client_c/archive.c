/* SPDX-License-Identifier: MIT */
/*
 * MANIFEST is text: a line that says what it is, one line for each tensor, and one with their
 * number, without which it is not whole. Fields are separated by tabs; names have none, nor line
 * ends.
 *
 *      tensord archive 1
 *      FILE    BYTES   SUM     DTYPE   FLAGS   NAME
 *      end N
 *
 * BYTES and SUM (hexadecimal) are of the whole file. FLAGS: "mutable", "shared",
 * "evictable", "shared,evictable", or "-".
 */
#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "tensord/infer_client.h"
#include "npy.h"

#define MANIFEST "MANIFEST"
#define FIRST_LINE "tensord archive 1"
#define FILE_MAX 200 /* bytes of a file's name that come from the tensor's */
#define LEASE_WAIT_MS 10000

struct entry {
        char file[NAME_MAX + 1];
        char name[TD_NAME_MAX + 1];
        char dtype[16];
        char flags[32];
        uint64_t n_bytes;
        uint64_t sum;
};

struct archive {
        const char *directory;
        int fd;
        struct entry *entries; /* owned: what the manifest says, or will say */
        size_t n_entries;
};

static void archive_close(struct archive *archive)
{
        free(archive->entries);
        close(archive->fd);
}

static int archive_add(struct archive *archive, const struct entry *entry, td_error *error)
{
        struct entry *entries = reallocarray(archive->entries, archive->n_entries + 1,
                                             sizeof(*entries));

        if (!entries)
                return fail_no_memory(error);
        archive->entries = entries;
        entries[archive->n_entries++] = *entry;
        return TD_OK;
}

/* ---- small things ---- */

static int fail_system(const char *directory, const char *file, int code, td_error *error)
{
        return error_set(error, TD_E_SYSTEM, "%s/%s: %s", directory, file, strerror(code));
}

/* Finds damage, not malice. */
static uint64_t sum_of(const uint8_t *bytes, size_t n_bytes)
{
        uint64_t sum = n_bytes, word = 0;

        for (; n_bytes >= sizeof(word); bytes += sizeof(word), n_bytes -= sizeof(word)) {
                memcpy(&word, bytes, sizeof(word));
                sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
                sum ^= sum >> 29;
        }
        word = 0;
        memcpy(&word, bytes, n_bytes);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        return sum ^ sum >> 32;
}

/* A file name for a name: what could mean something else there is percent-encoded. */
static void encode_name(const char *name, char file[FILE_MAX + 32])
{
        size_t n = 0;

        for (const char *c = name; *c; c++) {
                bool is_plain = (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') ||
                                (*c >= 'a' && *c <= 'z') || (*c && strchr("_-+=,@ ", *c)) ||
                                (*c == '.' && c > name) || (*c & 0x80);

                if (n + 3 > FILE_MAX) {
                        /* What was left out is told by a number, and never by "%-" alone. */
                        snprintf(file + n, 32, "%%-%016" PRIx64,
                                 sum_of((const uint8_t *)name, strlen(name)));
                        return;
                }
                if (is_plain)
                        file[n++] = *c;
                else
                        n += (size_t)snprintf(file + n, 4, "%%%02X", (unsigned char)*c);
        }
        file[n] = '\0';
}

/* ---- reading a manifest ---- */

/* false: the line is none of an entry. */
static bool read_entry(char *line, struct entry *entry)
{
        char *fields[6], *end, *at = line;

        for (unsigned i = 0; i < 6; i++) {
                fields[i] = at;
                at = strchr(at, i < 5 ? '\t' : '\n');
                if (!at)
                        return false;
                *at++ = '\0';
        }
        if (*at || !*fields[0] || strchr(fields[0], '/') || fields[0][0] == '.' ||
            strlen(fields[0]) > NAME_MAX || strlen(fields[5]) > TD_NAME_MAX ||
            strlen(fields[3]) >= sizeof(entry->dtype) || strlen(fields[4]) >= sizeof(entry->flags))
                return false;
        strcpy(entry->file, fields[0]);
        strcpy(entry->dtype, fields[3]);
        strcpy(entry->flags, fields[4]);
        strcpy(entry->name, fields[5]);
        entry->n_bytes = strtoull(fields[1], &end, 10);
        if (*end)
                return false;
        entry->sum = strtoull(fields[2], &end, 16);
        return !*end;
}

/* Its entries (malloc'ed). TD_E_BAD_FILE if it is not whole. */
static int read_manifest(struct archive *archive, td_error *error)
{
        int fd = openat(archive->fd, MANIFEST, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
        char line[2 * NAME_MAX + 256];
        bool is_whole = false;
        struct entry entry;

        if (!file)
                return fail_system(archive->directory, MANIFEST, errno, error);
        if (fgets(line, sizeof(line), file) && strcmp(line, FIRST_LINE "\n") == 0) {
                while (fgets(line, sizeof(line), file)) {
                        size_t n_said;

                        if (sscanf(line, "end %zu", &n_said) == 1 && !strchr(line, '\t')) {
                                is_whole = n_said == archive->n_entries &&
                                           !fgets(line, sizeof(line), file);
                                break;
                        }
                        if (!read_entry(line, &entry) || archive_add(archive, &entry, error))
                                break;
                }
        }
        fclose(file);
        return is_whole ? TD_OK : error_set(error, TD_E_BAD_FILE,
                                            "%s/" MANIFEST ": is no whole manifest of version 1",
                                            archive->directory);
}

/* ---- saving ---- */

/* A new file beside those that are there, under a name of its own. */
static int make_file(const struct archive *archive, struct entry *entry, td_error *error)
{
        char encoded[FILE_MAX + 32];

        encode_name(entry->name, encoded);
        for (unsigned i = 0;; i++) {
                if (i == 0)
                        snprintf(entry->file, sizeof(entry->file), "%s.npy", encoded);
                else
                        snprintf(entry->file, sizeof(entry->file), "%s.%u.npy", encoded, i);
                if (faccessat(archive->fd, entry->file, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                        return errno == ENOENT ? TD_OK
                                               : fail_system(archive->directory, entry->file,
                                                             errno, error);
        }
}

/* It is on the disk; what it is, is noted. */
static int settle_file(const struct archive *archive, const char *path, struct entry *entry,
                       td_error *error)
{
        struct npy_file file;
        int fd = open(path, O_RDONLY | O_CLOEXEC), r;

        if (fd < 0 || fsync(fd) < 0) {
                r = fail_system(archive->directory, entry->file, errno, error);
                if (fd >= 0)
                        close(fd);
                return r;
        }
        close(fd);
        r = npy_open(path, &file, error);
        if (r)
                return r;
        entry->n_bytes = file.n_bytes;
        entry->sum = sum_of(file.address, file.n_bytes);
        npy_close(&file);
        return TD_OK;
}

static int write_tensor(const struct archive *archive, td_tensor *tensor, struct entry *entry,
                        td_error *error)
{
        td_mapping *mapping;
        char *path;
        int r = td_map(tensor, TD_MAP_READ, false, &mapping, error);

        if (r)
                return r;
        if (asprintf(&path, "%s/%s", archive->directory, entry->file) < 0) {
                td_mapping_free(mapping);
                return fail_no_memory(error);
        }
        r = npy_write(path, td_tensor_type(tensor), td_tensor_strides(tensor),
                      td_mapping_data(mapping), error);
        td_mapping_free(mapping);
        if (r == TD_OK) {
                r = settle_file(archive, path, entry, error);
                if (r)
                        unlink(path);
        }
        free(path);
        return r;
}

static const char *flags_of(const td_tensor *tensor)
{
        const bool is_evictable = td_tensor_is_evictable(tensor);

        if (td_tensor_is_mutable(tensor))
                return "mutable";
        if (td_tensor_is_shared(tensor))
                return is_evictable ? "shared,evictable" : "shared";
        return is_evictable ? "evictable" : "-";
}

static int save_one(td_client *client, struct archive *archive, const char *name, td_error *error)
{
        struct entry entry = { .n_bytes = 0 };
        td_lease *lease = NULL;
        td_tensor *tensor;
        int r, s;

        snprintf(entry.name, sizeof(entry.name), "%s", name);
        r = td_open(client, name, &tensor, error);
        if (r)
                return r;
        if (td_tensor_is_mutable(tensor))
                r = td_lease_begin(tensor, NULL, NULL, 0, false, false, LEASE_WAIT_MS, &lease,
                                   error);
        if (r == TD_OK)
                r = make_file(archive, &entry, error);
        if (r == TD_OK)
                r = write_tensor(archive, tensor, &entry, error);
        s = td_lease_end(lease, r ? NULL : error);
        if (r == TD_OK && s) {
                /* Others may have written meanwhile. */
                unlinkat(archive->fd, entry.file, 0);
                r = s;
        }
        if (r == TD_OK) {
                snprintf(entry.dtype, sizeof(entry.dtype), "%s",
                         td_dtype_name(td_tensor_type(tensor)->dtype));
                snprintf(entry.flags, sizeof(entry.flags), "%s", flags_of(tensor));
                r = archive_add(archive, &entry, error);
                if (r)
                        unlinkat(archive->fd, entry.file, 0);
        }
        td_tensor_free(tensor);
        return r;
}

/* Files of the one that the other does not name. */
static void remove_files(const struct archive *of, const struct archive *but)
{
        for (size_t i = 0; i < of->n_entries; i++) {
                size_t k = 0;

                while (k < but->n_entries && strcmp(but->entries[k].file, of->entries[i].file) != 0)
                        k++;
                if (k == but->n_entries)
                        unlinkat(of->fd, of->entries[i].file, 0);
        }
}

static int write_manifest(const struct archive *archive, td_error *error)
{
        int fd = openat(archive->fd, MANIFEST ".part", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                        0600);
        FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
        int code = 0;

        if (!file)
                return fail_system(archive->directory, MANIFEST ".part", errno, error);
        fputs(FIRST_LINE "\n", file);
        for (size_t i = 0; i < archive->n_entries; i++) {
                const struct entry *entry = &archive->entries[i];

                fprintf(file, "%s\t%" PRIu64 "\t%" PRIx64 "\t%s\t%s\t%s\n", entry->file,
                        entry->n_bytes, entry->sum, entry->dtype, entry->flags, entry->name);
        }
        fprintf(file, "end %zu\n", archive->n_entries);
        if (fflush(file) || fsync(fd) < 0)
                code = errno;
        if (fclose(file) && !code)
                code = errno;
        /* The files' names first, then the name by which they count, then that too. */
        if (!code && (fsync(archive->fd) < 0 ||
                      renameat(archive->fd, MANIFEST ".part", archive->fd, MANIFEST) < 0 ||
                      fsync(archive->fd) < 0))
                code = errno;
        if (code)
                unlinkat(archive->fd, MANIFEST ".part", 0);
        return code ? fail_system(archive->directory, MANIFEST, code, error) : TD_OK;
}

static int archive_open(struct archive *archive, const char *directory, int lock, td_error *error)
{
        *archive = (struct archive){ .directory = directory };
        archive->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (archive->fd < 0)
                return error_set(error, TD_E_SYSTEM, "%s: %s", directory, strerror(errno));
        if (flock(archive->fd, lock | LOCK_NB) < 0) {
                int code = errno;

                close(archive->fd);
                return error_set(error, TD_E_SYSTEM, "%s: %s", directory,
                                 code == EWOULDBLOCK ? "another process saves there"
                                                     : strerror(code));
        }
        return TD_OK;
}

/* Of a tensor that cannot be saved now, what was saved before stays. */
static int keep_one(struct archive *archive, const struct archive *before, const char *name,
                    td_error *error)
{
        for (size_t i = 0; i < before->n_entries; i++)
                if (strcmp(before->entries[i].name, name) == 0)
                        return archive_add(archive, &before->entries[i], error);
        return TD_OK;
}

/* Is it about one tensor, and not about disk, memory, or the daemon? */
static bool is_of_one(int code)
{
        return code != TD_E_SYSTEM && code != TD_E_CLIENT_MEMORY && code != TD_E_NO_DAEMON &&
               code != TD_E_CONNECTION_LOST && code != TD_E_CLOSED;
}

static int save_all(td_client *client, struct archive *archive, const struct archive *before,
                    const char *prefix, struct archive_report *report, td_error *error)
{
        size_t n_prefix = prefix ? strlen(prefix) : 0;
        td_list *list;
        int r = td_list_with_lost(client, -1, prefix, &list, error);

        if (r)
                return r;
        for (size_t i = 0; i < before->n_entries && r == TD_OK; i++)
                if (n_prefix && strncmp(before->entries[i].name, prefix, n_prefix) != 0)
                        r = archive_add(archive, &before->entries[i], error);
        for (size_t i = 0; i < td_list_size(list) && r == TD_OK; i++) {
                const char *name = td_list_at(list, i)->name;
                td_error failure;

                r = save_one(client, archive, name, &failure);
                if (r == TD_OK) {
                        report->n_done++;
                } else if (r == TD_E_NOT_FOUND) { /* deleted meanwhile */
                        r = TD_OK;
                } else if (is_of_one(r)) {
                        report->n_failed++;
                        report->tell(name, &failure);
                        r = keep_one(archive, before, name, error);
                } else if (error) {
                        *error = failure;
                }
        }
        td_list_free(list);
        return r ? r : write_manifest(archive, error);
}

int archive_save(td_client *client, const char *directory, const char *prefix,
                 struct archive_report *report, td_error *error)
{
        struct archive archive, before;
        int r;

        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
                return error_set(error, TD_E_SYSTEM, "%s: %s", directory, strerror(errno));
        r = archive_open(&archive, directory, LOCK_EX, error);
        if (r)
                return r;
        before = archive;
        read_manifest(&before, NULL);
        r = save_all(client, &archive, &before, prefix, report, error);
        remove_files(r ? &archive : &before, r ? &before : &archive);
        free(before.entries);
        archive_close(&archive);
        return r;
}

/* ---- loading ---- */

static int check_file(const struct entry *entry, const struct npy_file *file, td_error *error)
{
        if (file->n_bytes != entry->n_bytes)
                return error_set(error, TD_E_BAD_FILE, "%s has %zu bytes, %" PRIu64 " were saved",
                                 entry->file, file->n_bytes, entry->n_bytes);
        if (sum_of(file->address, file->n_bytes) != entry->sum)
                return error_set(error, TD_E_BAD_FILE, "%s is not as it was saved", entry->file);
        if (strcmp(td_dtype_name(file->npy.type.dtype), entry->dtype) != 0)
                return error_set(error, TD_E_BAD_FILE, "%s is of %s, the manifest says %s",
                                 entry->file, td_dtype_name(file->npy.type.dtype), entry->dtype);
        return TD_OK;
}

static int load_mutable(td_client *client, const struct entry *entry, const struct npy_file *file,
                        unsigned how, td_error *error)
{
        td_mapping *mapping;
        td_tensor *tensor;
        int r = td_create_mutable(client, &file->npy.type, file->npy.order, entry->name, how,
                                  &tensor, error);

        if (r)
                return r;
        r = td_map(tensor, TD_MAP_WRITE, true, &mapping, error);
        if (r == TD_OK) {
                memcpy(td_mapping_data(mapping), (const uint8_t *)file->address + file->npy.offset,
                       file->npy.n_bytes);
                td_mapping_free(mapping);
                r = td_seal(tensor, error);
        }
        td_tensor_free(tensor);
        return r;
}

/* What they say of how it was named; -1: they are not known. */
static int how_of(const char *flags)
{
        if (strcmp(flags, "mutable") == 0 || strcmp(flags, "shared") == 0 ||
            strcmp(flags, "-") == 0)
                return 0;
        return strcmp(flags, "evictable") == 0 || strcmp(flags, "shared,evictable") == 0
                       ? TD_EVICTABLE
                       : -1;
}

static int load_sealed(td_client *client, const struct entry *entry, const struct npy_file *file,
                       unsigned how, td_error *error)
{
        int64_t strides[TD_NDIM_MAX];
        td_tensor *tensor = NULL;
        int r;

        dense_strides(&file->npy.type, file->npy.order, strides);
        r = td_put(client, (const uint8_t *)file->address + file->npy.offset, &file->npy.type,
                   strides, file->npy.order, entry->name, how, &tensor, error);
        if (r == TD_OK && entry->flags[0] == 's')
                r = td_share(tensor, true, error);
        if (tensor)
                td_tensor_free(tensor);
        return r;
}

static int load_one(td_client *client, const struct archive *archive, const struct entry *entry,
                    bool replaces, td_error *error)
{
        const int how = how_of(entry->flags);
        struct npy_file file;
        char *path;
        int r;

        if (how < 0)
                return error_set(error, TD_E_BAD_FILE, "flags \"%s\" are not known", entry->flags);
        if (asprintf(&path, "%s/%s", archive->directory, entry->file) < 0)
                return fail_no_memory(error);
        r = npy_open(path, &file, error);
        free(path);
        if (r)
                return r;
        r = check_file(entry, &file, error);
        if (r == TD_OK)
                r = (entry->flags[0] == 'm' ? load_mutable : load_sealed)(
                        client, entry, &file, (unsigned)how | (replaces ? TD_REPLACE : 0U), error);
        npy_close(&file);
        return r;
}

int archive_load(td_client *client, const char *directory, bool replaces,
                 struct archive_report *report, td_error *error)
{
        struct archive archive;
        td_error failure;
        int r = archive_open(&archive, directory, LOCK_SH, error);

        if (r)
                return r;
        r = read_manifest(&archive, error);
        for (size_t i = 0; i < archive.n_entries && r == TD_OK; i++) {
                if (load_one(client, &archive, &archive.entries[i], replaces, &failure) == TD_OK) {
                        report->n_done++;
                        continue;
                }
                report->n_failed++;
                report->tell(archive.entries[i].name, &failure);
        }
        archive_close(&archive);
        return r;
}
