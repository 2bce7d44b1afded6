/* SPDX-License-Identifier: MIT */
/*
 * tensorctl
 *
 * tensord from the command line. Exit status 0; 1 for an error of the daemon or of a file; 64 for
 * wrong usage; 69 where no daemon answers. With
 * --json, standard output is one JSON document.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive.h"
#include "client.h"
#include "tensord/infer_client.h"
#include "json.h"
#include "npy.h"
#include "purge.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 64, EXIT_NO_DAEMON = 69 };
enum { OPTION_SPILL_DIR = 256 }; /* no letter */

struct arguments {
        const char *socket;
        const char *spill_directory; /* NULL: none */
        bool is_json;
        bool replaces;
        bool is_evictable;
        int64_t wait_ms;
        int64_t owner; /* -1: oneself */
        char **words;  /* the command and its operands */
        int n_words;
};

/* ---- options ---- */

/* argp finds it by name, in this program's dynamic symbols */
__attribute__((visibility("default")))
const char *argp_program_version = "tensorctl " TENSORD_VERSION;

static const char text_before[] =
        "Keep tensors in shared memory, from the command line."
        "\v"
        "Commands:\n"
        "  ping                  is a daemon there?\n"
        "  ls [PREFIX]           names, dtypes, shapes and sizes (* spilled to a file, ! lost)\n"
        "  stat [NAME]           figures of the daemon, or of one tensor\n"
        "  put FILE.npy NAME     store an array under a name (--replace: that may be in use)\n"
        "  get NAME FILE.npy     write a tensor to a file\n"
        "  rm NAME...            remove names; memory goes with the last process that uses it\n"
        "  save DIR [PREFIX]     write tensors to a directory, for the next boot\n"
        "  load DIR              store what was saved there (--replace: names may be in use)\n"
        "  wait NAME [SECONDS]   until it is there, or so long at most\n"
        "  share NAME            let every user read it (unshare NAME: not any more)\n"
        "  snapshot NAME NEW     copy it as it is now, mutable or not, into a sealed one\n"
        "  holders [NAME]        who refers to it and maps it; or what each connection holds\n"
        "  cancel NUMBER         end a request whose connection ended (holders: left)\n"
        "  ops                   the operations that the daemon computes\n"
        "  purge                 remove all names; with no daemon running, whatever one left "
        "in " PURGE_DIRECTORY "\n"
        "                        (--spill-dir DIR: and there)\n"
        "\n"
        "Examples:\n"
        "  tensorctl put weights.npy model/weights\n"
        "  tensorctl ls model/\n"
        "  tensorctl --json stat | jq .memory.used\n"
        "  tensorctl get model/weights copy.npy\n"
        "\n"
        "Where no --socket is given: $TENSORD_SOCKET, $XDG_RUNTIME_DIR/tensord/socket, "
        "/run/tensord/socket, "
        "/tmp/tensord-UID/socket. tensorctl starts no daemon.\n"
        "\n"
        "Exit status: 0; 1 for an error (its code and sentence on standard error); 64 for wrong "
        "usage; 69 if no daemon answers.";

static const struct argp_option options[] = {
        { "socket", 's', "PATH", 0, "Socket of the daemon", 0 },
        { "json", 'j', NULL, 0, "Print one JSON document", 0 },
        { "replace", 'r', NULL, 0, "put, load, snapshot: the name may be in use", 0 },
        { "evictable", 'e', NULL, 0,
          "put, snapshot: deleted before anyone is refused memory, used longest ago first", 0 },
        { "wait", 'w', "SECONDS", 0, "put, load, snapshot: so long for memory, if need be", 0 },
        { "owner", 'o', "USER", 0,
          "ls, stat, get, wait, snapshot: what that user shares. For root and the daemon's user "
          "ls, stat, holders, rm: anything of that user's",
          0 },
        { "spill-dir", OPTION_SPILL_DIR, "DIR", 0,
          "purge: that daemon's --spill-dir; its files go, what else is there is left and named",
          0 },
        { 0 },
};

/* A uid, or the name of a user. */
static bool read_user(const char *text, int64_t *uidp)
{
        const struct passwd *user;
        char *end;
        long long uid = strtoll(text, &end, 10);

        if (*text >= '0' && *text <= '9' && !*end && uid < UINT32_MAX) {
                *uidp = uid;
                return true;
        }
        user = getpwnam(text);
        if (user)
                *uidp = user->pw_uid;
        return user;
}

static error_t take_option(int key, char *value, struct argp_state *state)
{
        struct arguments *arguments = state->input;
        double seconds;
        char *end;

        switch (key) {
        case 's':
                arguments->socket = value;
                return 0;
        case 'j':
                arguments->is_json = true;
                return 0;
        case 'r':
                arguments->replaces = true;
                return 0;
        case 'w':
                seconds = strtod(value, &end);
                if (*end || end == value || !(seconds >= 0 && seconds <= 1e9))
                        argp_error(state, "'%s' is no number of seconds", value);
                arguments->wait_ms = (int64_t)(seconds * 1000);
                return 0;
        case 'e':
                arguments->is_evictable = true;
                return 0;
        case OPTION_SPILL_DIR:
                arguments->spill_directory = value;
                return 0;
        case 'o':
                if (!read_user(value, &arguments->owner))
                        argp_error(state, "there is no user '%s'", value);
                return 0;
        case ARGP_KEY_ARGS:
                arguments->words = state->argv + state->next;
                arguments->n_words = state->argc - state->next;
                return 0;
        case ARGP_KEY_NO_ARGS:
                argp_error(state, "which command?");
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static const struct argp parser = {
        .options = options,
        .parser = take_option,
        .args_doc = "COMMAND [OPERAND...]",
        .doc = text_before,
};

/* ---- answers ---- */

static int report(const td_error *error)
{
        fprintf(stderr, "tensorctl: %s: %s\n", td_error_name(error->code), error->message);
        return error->code == TD_E_NO_DAEMON || error->code == TD_E_CONNECTION_LOST ? EXIT_NO_DAEMON
                                                                                    : EXIT_FAILED;
}

static int connect_to(const struct arguments *arguments, td_client **clientp, td_error *error)
{
        td_options how = { .address = arguments->socket,
                           .no_start = true,
                           .busy_poll_us = -1,
                           .client_name = "tensorctl",
                           .memory_wait_ms = arguments->wait_ms };

        return td_connect(clientp, &how, error);
}

/* A map as lines of key and value; maps inside of it indented, all else as JSON. */
static void print_map(struct reader *reader, uint64_t n, int indent)
{
        for (uint64_t i = 0; i < n && !reader->has_failed; i++) {
                struct reader after;
                struct reader_item value;
                size_t n_key;
                const char *key = reader_str(reader, &n_key);

                printf("%*s%.*s:", indent, "", (int)n_key, key);
                after = *reader;
                value = reader_next(&after);
                if (value.kind == READ_MAP && indent < 8) {
                        putchar('\n');
                        *reader = after;
                        print_map(reader, value.u, indent + 2);
                } else if (value.kind == READ_STR) {
                        printf(" %.*s\n", (int)value.u, (const char *)value.bytes);
                        *reader = after;
                } else {
                        putchar(' ');
                        json_value(stdout, reader);
                        putchar('\n');
                }
        }
}

static const char *text_of(struct reader_item item, size_t *n)
{
        *n = item.kind == READ_STR ? item.u : 0;
        return item.kind == READ_STR ? (const char *)item.bytes : "";
}

/* An array of maps with "name" and "doc", as a table. */
static void print_ops(struct reader *reader, uint64_t n)
{
        for (uint64_t i = 0; i < n && !reader->has_failed; i++) {
                uint32_t n_keys = reader_map(reader);
                const char *name = "", *doc = "";
                size_t n_name = 0, n_doc = 0;

                for (uint32_t k = 0; k < n_keys && !reader->has_failed; k++) {
                        size_t n_key;
                        const char *key = reader_str(reader, &n_key);

                        if (text_is(key, n_key, "name"))
                                name = text_of(reader_next(reader), &n_name);
                        else if (text_is(key, n_key, "doc"))
                                doc = text_of(reader_next(reader), &n_doc);
                        else
                                reader_skip(reader);
                }
                printf("%-16.*s %.*s\n", (int)n_name, name, (int)n_doc, doc);
        }
}

static void print_result(const void *bytes, size_t n_bytes, bool is_json)
{
        struct reader reader = reader_of(bytes, n_bytes), inside = reader;
        struct reader_item item = reader_next(&inside);

        if (!is_json && item.kind == READ_MAP) {
                print_map(&inside, item.u, 0);
        } else if (!is_json && item.kind == READ_ARRAY) {
                print_ops(&inside, item.u);
        } else {
                json_value(stdout, &reader);
                putchar('\n');
        }
}

/* ---- commands ---- */

/* How the name is given: of enum td_how. */
static unsigned how_named(const struct arguments *arguments)
{
        return (arguments->replaces ? TD_REPLACE : 0U) |
               (arguments->is_evictable ? TD_EVICTABLE : 0U);
}

static int do_ping(td_client *client, const struct arguments *arguments, td_error *error)
{
        int r = td_ping(client, error);

        if (r == TD_OK && arguments->is_json)
                json_pair(stdout, "socket", td_address(client));
        else if (r == TD_OK)
                printf("%s answers\n", td_address(client));
        return r;
}

static void print_row_json(const td_list_row *row)
{
        fputs("{\"name\": ", stdout);
        json_string(stdout, row->name);
        printf(", \"dtype\": \"%s\", \"shape\": [", td_dtype_name(row->type.dtype));
        for (unsigned i = 0; i < row->type.ndim; i++)
                printf("%s%" PRId64, i ? ", " : "", row->type.shape[i]);
        printf("], \"nbytes\": %" PRIu64 ", \"id\": ", row->n_bytes);
        if (row->id)
                json_hex(stdout, row->id, 16);
        else
                fputs("null", stdout);
        if (row->lost) {
                fputs(", \"lost\": ", stdout);
                json_string(stdout, row->lost);
        }
        fputs(row->is_evictable ? ", \"evictable\": true" : "", stdout);
        fputs(row->is_spilled ? ", \"spilled\": true}" : "}", stdout);
}

static void print_row(const td_list_row *row)
{
        char mark = row->lost ? '!' : row->is_spilled ? '*' : row->is_evictable ? 'e' : ' ';

        printf("%-7s %14" PRIu64 "%c %-16s %s", td_dtype_name(row->type.dtype), row->n_bytes, mark,
               td_type_text(&row->type).s, row->name);
        if (row->lost)
                printf("  (lost: %s)", row->lost);
        putchar('\n');
}

static int do_ls(td_client *client, const struct arguments *arguments, td_error *error)
{
        td_list *list;
        const char *prefix = arguments->n_words > 1 ? arguments->words[1] : NULL;
        int r = td_list_with_lost(client, arguments->owner, prefix, &list, error);

        if (r)
                return r;
        fputs(arguments->is_json ? "[" : "", stdout);
        for (size_t i = 0; i < td_list_size(list); i++) {
                const td_list_row *row = td_list_at(list, i);

                if (arguments->is_json) {
                        fputs(i ? ",\n " : "", stdout);
                        print_row_json(row);
                        continue;
                }
                print_row(row);
        }
        if (arguments->is_json)
                fputs("]\n", stdout);
        td_list_free(list);
        return TD_OK;
}

/* Call a method and print what it says, unless that is nothing. params: consumed. */
static int do_frame(td_client *client, const char *method, struct frame *params, bool is_json,
                    td_error *error)
{
        struct reader reader;
        void *result;
        size_t n_result;
        int r;

        r = params->has_failed ? fail_no_memory(error)
                               : td_call(client, method, params->n_bytes ? params->bytes : NULL,
                                         params->n_bytes, &result, &n_result, error);
        frame_deinit(params);
        if (r)
                return r;
        reader = reader_of(result, n_result);
        if (reader_next(&reader).kind != READ_NIL)
                print_result(result, n_result, is_json);
        td_free(result);
        return TD_OK;
}

/* With no parameter, or a name. */
static int do_call(td_client *client, const char *method, const char *name,
                   const struct arguments *arguments, td_error *error)
{
        struct frame params;

        frame_init(&params);
        if (name)
                frame_name(&params, name, arguments->owner);
        return do_frame(client, method, &params, arguments->is_json, error);
}

/* What goes on without its connection, by its number. */
static int do_cancel(td_client *client, const struct arguments *arguments, td_error *error)
{
        const char *text = arguments->words[1];
        char *end;
        struct frame params;
        unsigned long long number;

        errno = 0;
        number = strtoull(text, &end, 10);
        if (*text < '1' || *text > '9' || *end || errno)
                return error_set(error, TD_E_BAD_ARGUMENTS,
                                 "'%s' is not the number of a request, as holders tells it", text);
        frame_init(&params);
        frame_number(&params, "request", number);
        return do_frame(client, "cancel", &params, arguments->is_json, error);
}

/* A command that is called as the method is. */
static int do_method(td_client *client, const struct arguments *arguments, td_error *error)
{
        return do_call(client, arguments->words[0],
                       arguments->n_words > 1 ? arguments->words[1] : NULL, arguments, error);
}

/* ---- what is for others ---- */

static int do_share(td_client *client, const struct arguments *arguments, td_error *error)
{
        bool shared = strcmp(arguments->words[0], "share") == 0;
        td_tensor *tensor;
        int r = td_open(client, arguments->words[1], &tensor, error);

        if (r)
                return r;
        r = td_share(tensor, shared, error);
        td_tensor_free(tensor);
        if (r == TD_OK && arguments->is_json)
                json_pair(stdout, shared ? "shared" : "private", arguments->words[1]);
        return r;
}

static int do_snapshot(td_client *client, const struct arguments *arguments, td_error *error)
{
        const char *name = arguments->words[1], *as = arguments->words[2];
        td_tensor *tensor;
        int r = td_open_of(client, arguments->owner, name, false, &tensor, error);

        if (r)
                return r;
        r = td_snapshot(tensor, as, how_named(arguments), 0, NULL, error);
        td_tensor_free(tensor);
        if (r == TD_OK && arguments->is_json)
                json_pair(stdout, "name", as);
        return r;
}

static int do_wait(td_client *client, const struct arguments *arguments, td_error *error)
{
        const char *name = arguments->words[1];
        double seconds = -1;
        td_tensor *tensor;
        char *end = NULL;
        int r;

        if (arguments->n_words > 2) {
                seconds = strtod(arguments->words[2], &end);
                if (*end || !(seconds >= 0 && seconds < 1e9))
                        return error_set(error, TD_E_BAD_ARGUMENTS, "'%s' is no number of seconds",
                                         arguments->words[2]);
        }
        r = td_await(client, arguments->owner, name, seconds < 0 ? -1 : (int64_t)(seconds * 1000),
                     false, &tensor, error);
        if (r)
                return r;
        td_tensor_free(tensor);
        if (arguments->is_json)
                json_pair(stdout, "name", name);
        return TD_OK;
}

static int do_put(td_client *client, const struct arguments *arguments, td_error *error)
{
        const char *path = arguments->words[1], *name = arguments->words[2];
        int64_t strides[TD_NDIM_MAX];
        struct npy_file file;
        int r = npy_open(path, &file, error);

        if (r)
                return r;
        dense_strides(&file.npy.type, file.npy.order, strides);
        r = td_put(client, (const uint8_t *)file.address + file.npy.offset, &file.npy.type, strides,
                   file.npy.order, name, how_named(arguments), NULL, error);
        npy_close(&file);
        if (r == TD_OK && arguments->is_json)
                json_pair(stdout, "name", name);
        return r;
}

static int do_get(td_client *client, const struct arguments *arguments, td_error *error)
{
        const char *name = arguments->words[1], *path = arguments->words[2];
        td_mapping *mapping;
        td_tensor *tensor;
        int r = td_open_of(client, arguments->owner, name, false, &tensor, error);

        if (r)
                return r;
        r = td_map(tensor, TD_MAP_READ, false, &mapping, error);
        if (r == TD_OK) {
                r = npy_write(path, td_tensor_type(tensor), td_tensor_strides(tensor),
                              td_mapping_data(mapping), error);
                td_mapping_free(mapping);
        }
        td_tensor_free(tensor);
        if (r == TD_OK && arguments->is_json)
                json_pair(stdout, "file", path);
        return r;
}

/* All of them, even if one fails; the first error is reported. */
static int do_rm(td_client *client, const struct arguments *arguments, td_error *error)
{
        int first = TD_OK;

        for (int i = 1; i < arguments->n_words; i++) {
                td_error later;
                td_error *where = first ? &later : error;
                int r = arguments->owner < 0
                                ? td_delete(client, arguments->words[i], where)
                                : do_call(client, "delete", arguments->words[i], arguments, where);

                first = first ? first : r;
        }
        if (first == TD_OK && arguments->is_json)
                printf("{\"removed\": %d}\n", arguments->n_words - 1);
        return first;
}

/* ---- archives ---- */

static void tell_failure(const char *name, const td_error *error)
{
        fprintf(stderr, "tensorctl: '%s': %s: %s\n", name, td_error_name(error->code),
                error->message);
}

/* Those that failed were told one by one; their number is the error. */
static int report_archive(const struct archive_report *report, bool is_json, td_error *error)
{
        if (is_json)
                printf("{\"tensors\": %zu, \"failed\": %zu}\n", report->n_done, report->n_failed);
        else
                printf("%zu tensors\n", report->n_done);
        if (report->n_failed == 0)
                return TD_OK;
        return error_set(error, TD_E_BAD_FILE, "%zu of %zu tensors failed, as told above",
                         report->n_failed, report->n_failed + report->n_done);
}

static int do_save(td_client *client, const struct arguments *arguments, td_error *error)
{
        struct archive_report report = { .tell = tell_failure };
        int r = archive_save(client, arguments->words[1],
                             arguments->n_words > 2 ? arguments->words[2] : NULL, &report, error);

        return r ? r : report_archive(&report, arguments->is_json, error);
}

static int do_load(td_client *client, const struct arguments *arguments, td_error *error)
{
        struct archive_report report = { .tell = tell_failure };
        int r = archive_load(client, arguments->words[1], arguments->replaces, &report, error);

        return r ? r : report_archive(&report, arguments->is_json, error);
}

/* ---- purge ---- */

static int do_purge(const struct arguments *arguments)
{
        td_options how = { .address = arguments->socket };
        td_client *client;
        td_error error;
        bool is_private;
        char *address;
        int r = connect_to(arguments, &client, &error);

        if (r == TD_OK) {
                r = arguments->spill_directory
                            ? error_set(&error, TD_E_BAD_ARGUMENTS,
                                        "%s: a daemon is running, and removes what it spilled with "
                                        "the names: purge without --spill-dir; nothing was removed",
                                        td_address(client))
                            : purge_names(client, arguments->is_json, &error);
                td_close(client);
        } else if (r == TD_E_NO_DAEMON || r == TD_E_CONNECTION_LOST) {
                r = launch_find(&how, &address, &is_private, &error);
                if (r == TD_OK) {
                        r = purge_left(address, arguments->spill_directory, arguments->is_json,
                                       &error);
                        free(address);
                }
        }
        return r ? report(&error) : 0;
}

/* ---- choosing ---- */

static const struct command {
        const char *name;
        int min_operands;
        int max_operands;
        int (*run)(td_client *client, const struct arguments *arguments,
                   td_error *error); /* NULL: purge */
} commands[] = {
        { "ping", 0, 0, do_ping },      { "ls", 0, 1, do_ls },
        { "stat", 0, 1, do_method },    { "put", 2, 2, do_put },
        { "get", 2, 2, do_get },        { "rm", 1, INT_MAX, do_rm },
        { "ops", 0, 0, do_method },     { "purge", 0, 0, NULL },
        { "save", 1, 2, do_save },      { "load", 1, 1, do_load },
        { "wait", 1, 2, do_wait },      { "share", 1, 1, do_share },
        { "unshare", 1, 1, do_share },  { "snapshot", 2, 2, do_snapshot },
        { "holders", 0, 1, do_method },  { "cancel", 1, 1, do_cancel },
};

static int run_command(const struct command *command, const struct arguments *arguments)
{
        td_client *client;
        td_error error;
        int r;

        if (!command->run)
                return do_purge(arguments);
        r = connect_to(arguments, &client, &error);
        if (r)
                return report(&error);
        r = command->run(client, arguments, &error);
        td_close(client);
        if (r)
                return report(&error);
        return fflush(stdout) ? EXIT_FAILED : 0;
}

int main(int argc, char **argv)
{
        struct arguments arguments = { .owner = -1 };

        argp_err_exit_status = EXIT_USAGE;
        argp_parse(&parser, argc, argv, 0, NULL, &arguments);
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
                int n_operands = arguments.n_words - 1;

                if (strcmp(commands[i].name, arguments.words[0]) != 0)
                        continue;
                if (n_operands >= commands[i].min_operands &&
                    n_operands <= commands[i].max_operands)
                        return run_command(&commands[i], &arguments);
                fprintf(stderr,
                        "tensorctl: %s: %d operands are not what it takes; see tensorctl --help\n",
                        arguments.words[0], n_operands);
                return EXIT_USAGE;
        }
        fprintf(stderr, "tensorctl: there is no command '%s'; see tensorctl --help\n",
                arguments.words[0]);
        return EXIT_USAGE;
}
