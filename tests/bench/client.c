/* SPDX-License-Identifier: MIT */
/*
 * The daemon, asked through libtensord
 *
 * The small operation is x + 1 for one float64: the program is built, run, its result freed.
 *
 *   roundtrip ADDRESS               seconds of a small operation
 *   pipelined ADDRESS N OPS         seconds in which N client processes do OPS small operations
 *                                   each, WINDOW of them under way
 *   ping ADDRESS LOAD SIZE          seconds of pings, one every PAUSE_NS, while the load runs:
 *                                   matmul (SIZE x SIZE float64) or create (SIZE bytes)
 *   flooded ADDRESS SIZE            seconds of x + 1 for SIZE float64, one every PAUSE_NS, while
 *                                   another client keeps FLOOD large jobs under way
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve.h"
#include "tensord/tensord.h"

#define CLIENTS_MAX 16
#define WINDOW 64
#define PAUSE_NS 200000
#define FLOOD 8
#define FLOOD_EXTENT 2048 /* of the matrix that it computes with: 32 MiB */

struct session {
        td_client *client;
        td_tensor *x;
};

static struct session session;
static const char *address;
static td_error error;

static pid_t children[CLIENTS_MAX];
static int controls[CLIENTS_MAX];
static int n_children;
static long n_operations;

static bool load_is_matmul;
static int64_t load_size;
static td_tensor *operand;

/* x: that many ones. */
static bool session_open(struct session *s, int64_t n)
{
        const td_options options = { .address = address, .no_start = true, .busy_poll_us = -1 };
        const struct td_type type = { .dtype = TD_FLOAT64, .ndim = 1, .shape = { n } };
        double *x = calloc((size_t)n, sizeof(*x));
        bool ok;

        for (int64_t i = 0; x && i < n; i++)
                x[i] = 1;
        ok = x && td_connect(&s->client, &options, &error) == TD_OK &&
             td_put(s->client, x, &type, NULL, 'C', NULL, false, &s->x, &error) == TD_OK;
        free(x);
        return ok;
}

static void session_close(struct session *s)
{
        td_tensor_free(s->x);
        td_close(s->client);
        *s = (struct session){ 0 };
}

/* x + 1, built anew as a user's call does. NULL: error says why. */
static td_builder *build(const struct session *s, td_output *output)
{
        const struct td_type type = { .dtype = TD_FLOAT64, .ndim = 1, .shape = { 1 } };
        const double one = 1;
        td_builder *builder = td_builder_new();
        int args[2];

        if (!builder)
                return NULL;
        args[0] = td_builder_input(builder, s->x);
        args[1] = td_builder_immediate(builder, &type, &one);
        *output = (td_output){ .value = td_builder_op(builder, TD_OP_ADD, NULL, args, 2, NULL) };
        return builder;
}

static bool operate(const struct session *s)
{
        td_tensor *result = NULL;
        td_output output;
        td_builder *builder = build(s, &output);
        bool ok = builder && td_run(s->client, builder, &output, 1, &result, &error) == TD_OK;

        td_builder_free(builder);
        td_tensor_free(result);
        return ok;
}

/* ---- roundtrip ---- */

static void forget(void)
{
        td_tensor_free(operand);
        operand = NULL;
        session_close(&session);
}

static bool start(const char *path)
{
        static char copy[256];

        snprintf(copy, sizeof(copy), "%s", path);
        address = copy;
        return session_open(&session, 1);
}

static bool roundtrip_prepare(char **arguments)
{
        return start(arguments[0]) ? serve_ok("ready") : serve_no(error.message);
}

static const char *roundtrip_time(double *seconds, long n)
{
        for (long i = 0; i < n; i++) {
                double begin = serve_now();

                if (!operate(&session))
                        return error.message;
                seconds[i] = serve_now() - begin;
        }
        return NULL;
}

/* ---- pipelined ---- */

static bool wait_oldest(td_pending **pending, td_tensor **results, long i)
{
        bool ok = td_wait(pending[i % WINDOW], &error) == TD_OK;

        pending[i % WINDOW] = NULL;
        if (ok)
                td_tensor_free(results[i % WINDOW]);
        return ok;
}

static bool operate_many(const struct session *s, long n)
{
        td_pending *pending[WINDOW] = { NULL };
        td_tensor *results[WINDOW] = { NULL };

        for (long i = 0; i < n + WINDOW; i++) {
                td_output output;
                td_builder *builder;
                bool ok;

                if (i >= WINDOW && i - WINDOW < n && !wait_oldest(pending, results, i))
                        return false;
                if (i >= n)
                        continue;
                builder = build(s, &output);
                ok = builder && td_submit(s->client, builder, &output, 1, &results[i % WINDOW],
                                          &pending[i % WINDOW], &error) == TD_OK;
                td_builder_free(builder);
                if (!ok)
                        return false;
        }
        return true;
}

static void run_client(int control)
{
        struct session s = { 0 };
        char byte = 0;

        if (!session_open(&s, 1) || write(control, &byte, 1) != 1)
                return;
        while (read(control, &byte, 1) == 1)
                if (!operate_many(&s, n_operations) || write(control, &byte, 1) != 1)
                        break;
        session_close(&s);
}

static void pipelined_forget(void)
{
        for (int i = 0; i < n_children; i++)
                close(controls[i]);
        for (int i = 0; i < n_children; i++)
                waitpid(children[i], NULL, 0);
        n_children = 0;
}

static bool pipelined_prepare(char **arguments)
{
        int n = atoi(arguments[1]);
        char byte;

        address = arguments[0];
        n_operations = strtol(arguments[2], NULL, 10);
        if (n < 1 || n > CLIENTS_MAX || n_operations < 1)
                return serve_no("that many clients or operations do not go");
        for (int i = 0; i < n; i++) {
                int pair[2];
                pid_t pid;

                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                        return serve_no("no socket");
                pid = fork();
                if (pid == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        for (int k = 0; k < n_children; k++)
                                close(controls[k]);
                        close(pair[0]);
                        run_client(pair[1]);
                        _exit(0);
                }
                close(pair[1]);
                children[n_children] = pid;
                controls[n_children++] = pair[0];
                if (pid < 0 || read(pair[0], &byte, 1) != 1) {
                        pipelined_forget();
                        return serve_no("a client could not connect");
                }
        }
        return serve_ok("window=%d", WINDOW);
}

static const char *pipelined_time(double *seconds, long n)
{
        for (long i = 0; i < n; i++) {
                double begin = serve_now();
                char byte = 0;

                for (int k = 0; k < n_children; k++)
                        if (write(controls[k], &byte, 1) != 1)
                                return "a client ended";
                for (int k = 0; k < n_children; k++)
                        if (read(controls[k], &byte, 1) != 1)
                                return "a client failed";
                seconds[i] = serve_now() - begin;
        }
        return NULL;
}

/* ---- ping under load ---- */

struct load {
        td_client *client;
        td_error error;
        bool ok;
        atomic_bool is_over;
};

static bool load_create(td_client *client, td_error *problem)
{
        const struct td_type type = { .dtype = TD_FLOAT64, .ndim = 1, .shape = { load_size / 8 } };
        td_tensor *tensor = NULL;
        bool ok = td_create(client, &type, 'C', NULL, false, &tensor, problem) == TD_OK;

        td_tensor_free(tensor);
        return ok;
}

static bool load_matmul(td_client *client, td_error *problem)
{
        td_builder *builder = td_builder_new();
        td_tensor *result = NULL;
        td_output output;
        int args[2];
        bool ok = builder;

        if (ok) {
                args[0] = args[1] = td_builder_input(builder, operand);
                output = (td_output){ .value = td_builder_op(builder, TD_OP_MATMUL, NULL, args, 2,
                                                             NULL) };
                ok = td_run(client, builder, &output, 1, &result, problem) == TD_OK;
        }
        td_tensor_free(result);
        td_builder_free(builder);
        return ok;
}

static void *load_thread(void *argument)
{
        struct load *load = argument;

        load->ok = load_is_matmul ? load_matmul(load->client, &load->error)
                                  : load_create(load->client, &load->error);
        atomic_store(&load->is_over, true);
        return NULL;
}

static bool make_operand(int64_t extent)
{
        const struct td_attrs attrs = {
                .set = TD_ATTR_SHAPE | TD_ATTR_DTYPE,
                .dtype = TD_FLOAT64,
                .n_shape = 2,
                .shape = { extent, extent },
        };
        td_builder *builder = td_builder_new();
        td_output output = { 0 };
        bool ok;

        if (!builder)
                return false;
        output.value = td_builder_op(builder, TD_OP_ONES, &attrs, NULL, 0, NULL);
        ok = td_run(session.client, builder, &output, 1, &operand, &error) == TD_OK;
        td_builder_free(builder);
        return ok;
}

static bool ping_prepare(char **arguments)
{
        load_is_matmul = !strcmp(arguments[1], "matmul");
        load_size = strtoll(arguments[2], NULL, 10);
        if (start(arguments[0]) && (!load_is_matmul || make_operand(load_size)))
                return serve_ok("ready");
        return serve_no(error.message);
}

/* Fills as many of the n as fit into one load; the rest is negative. */
static const char *ping_time(double *seconds, long n)
{
        struct session pinger = { 0 };
        struct load load = { .client = session.client };
        const struct timespec pause = { .tv_nsec = PAUSE_NS };
        pthread_t thread;
        const char *problem = NULL;
        long i = 0;

        if (!session_open(&pinger, 1) || pthread_create(&thread, NULL, load_thread, &load))
                return "no second connection";
        while (i < n && !problem) {
                double begin = serve_now();

                if (td_ping(pinger.client, &error) != TD_OK)
                        problem = error.message;
                seconds[i] = serve_now() - begin;
                if (atomic_load(&load.is_over))
                        break;
                i++;
                nanosleep(&pause, NULL);
        }
        for (; i < n; i++)
                seconds[i] = -1;
        pthread_join(thread, NULL);
        session_close(&pinger);
        if (!load.ok) {
                error = load.error;
                problem = error.message;
        }
        return problem;
}

/* ---- small operations beside a flood ---- */

static atomic_bool flood_is_over, flood_failed;
static atomic_long n_floods; /* large jobs that were done */
static td_error flood_error;

/* Products, an expression and LAPACK, by turns. */
static bool flood_submit(long turn, td_tensor **resultp, td_pending **pendingp)
{
        static const enum td_op ops[] = { TD_OP_MATMUL, TD_OP_EXP, TD_OP_SVDVALS, TD_OP_EXP };
        enum td_op op = ops[turn % 4];
        const struct td_type corner = { .dtype = TD_FLOAT64, .ndim = 2, .shape = { 512, 512 } };
        const int64_t strides[2] = { FLOOD_EXTENT * 8, 8 };
        td_builder *builder = td_builder_new();
        td_output output;
        int args[2];
        bool ok = builder;

        if (!ok)
                return false;
        args[0] = args[1] = op == TD_OP_SVDVALS
                                    ? td_builder_input_view(builder, operand, &corner, strides, 0)
                                    : td_builder_input(builder, operand);
        output = (td_output){
                .value = td_builder_op(builder, op, NULL, args, op == TD_OP_MATMUL ? 2 : 1, NULL)
        };
        ok = td_submit(session.client, builder, &output, 1, resultp, pendingp, &flood_error) ==
             TD_OK;
        td_builder_free(builder);
        return ok;
}

static bool flood_wait(td_tensor *result, td_pending *pending)
{
        bool ok = td_wait(pending, &flood_error) == TD_OK;

        if (ok)
                td_tensor_free(result);
        atomic_fetch_add(&n_floods, ok);
        return ok;
}

/* Until it is over, and all that was under way is done. */
static void *flood_thread(void *argument)
{
        td_pending *pending[FLOOD] = { NULL };
        td_tensor *results[FLOOD] = { NULL };
        long n_submitted = 0, n_done = 0;
        bool ok = true;

        while (ok && !atomic_load(&flood_is_over)) {
                long i = n_submitted % FLOOD;

                if (n_submitted - n_done == FLOOD) {
                        ok = flood_wait(results[i], pending[i]);
                        n_done++;
                } else {
                        ok = flood_submit(n_submitted, &results[i], &pending[i]);
                        n_submitted += ok;
                }
        }
        for (; n_done < n_submitted; n_done++)
                ok = flood_wait(results[n_done % FLOOD], pending[n_done % FLOOD]) && ok;
        atomic_store(&flood_failed, !ok);
        return argument;
}

static struct session beside;

static void flooded_forget(void)
{
        session_close(&beside);
        forget();
}

static bool flooded_prepare(char **arguments)
{
        int64_t n = strtoll(arguments[1], NULL, 10);

        if (n < 1 || n > 1 << 24)
                return serve_no("that many elements do not go");
        if (start(arguments[0]) && make_operand(FLOOD_EXTENT) && session_open(&beside, n))
                return serve_ok("flood=%d", FLOOD);
        return serve_no(error.message);
}

static const char *flooded_time(double *seconds, long n)
{
        const struct timespec pause = { .tv_nsec = PAUSE_NS };
        const char *problem = NULL;
        long before = atomic_load(&n_floods);
        pthread_t thread;

        atomic_store(&flood_is_over, false);
        atomic_store(&flood_failed, false);
        if (pthread_create(&thread, NULL, flood_thread, NULL))
                return "no second thread";
        while (atomic_load(&n_floods) == before && !atomic_load(&flood_failed) && !problem)
                problem = operate(&beside) ? NULL : error.message;
        for (long i = 0; i < n && !problem; i++) {
                double begin = serve_now();

                problem = operate(&beside) ? NULL : error.message;
                seconds[i] = serve_now() - begin;
                nanosleep(&pause, NULL);
        }
        atomic_store(&flood_is_over, true);
        pthread_join(thread, NULL);
        return atomic_load(&flood_failed) ? flood_error.message : problem;
}

int main(void)
{
        static const struct serve_work works[] = {
                { "roundtrip", 1, roundtrip_prepare, roundtrip_time, forget, NULL },
                { "pipelined", 3, pipelined_prepare, pipelined_time, pipelined_forget, NULL },
                { "ping", 3, ping_prepare, ping_time, forget, NULL },
                { "flooded", 2, flooded_prepare, flooded_time, flooded_forget, NULL },
                { 0 },
        };

        return serve(works);
}
