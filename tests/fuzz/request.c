/* layer: wire */
/* SPDX-License-Identifier: MIT */
/*
 * Scan and decode
 *
 * The input is what a peer sends. However it is cut, the scan says the same, and what a plain
 * recursive reader says; it never reads beyond what arrived (each piece is a heap block of its own
 * length). A message that passes is read three times, without a cache of node lists, with an empty
 * one and with one that has it: the same request, or the same refusal. An accepted request keeps to
 * limits.h, and the same message in other bytes (widest heads, maps reversed) is the same request.
 * Its program goes through inference, which may refuse it, but must say why.
 */
#include "wire/scan.h"

#include <errno.h>

#include "message.h"
#include "request_dump.h"
#include "wire/utf8.h"

/* ---- scan ---- */

static uint64_t next_random(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static int scan_copy(struct scan *scan, const uint8_t *bytes, size_t n_bytes)
{
        uint8_t *copy = malloc(n_bytes ? n_bytes : 1);
        int r;

        must(copy != NULL, "no memory");
        if (n_bytes)
                memcpy(copy, bytes, n_bytes);
        r = scan_run(scan, copy, n_bytes);
        free(copy);
        must(scan->n_seen <= n_bytes && scan->n_seen <= TD_MESSAGE_MAX);
        must(scan->depth <= TD_DEPTH_MAX);
        return r;
}

/*
 * The first n_single bytes one by one, then pieces of at most so many; the first answer that is not
 * SCAN_MORE, or that.
 */
static int scan_pieces(const uint8_t *bytes, size_t n_bytes, size_t n_single, size_t most,
                       uint64_t *state, size_t *n_seenp)
{
        struct scan scan;
        int r = SCAN_MORE;

        scan_init(&scan);
        for (size_t n = 0; n < n_bytes && r == SCAN_MORE;) {
                size_t n_piece = n < n_single ? 1 : 1 + next_random(state) % most;

                n = n_bytes - n < n_piece ? n_bytes : n + n_piece;
                r = scan_copy(&scan, bytes, n);
        }
        if (r == 0)
                must(scan_run(&scan, bytes, n_bytes) == 0, "asked again");
        *n_seenp = scan.n_seen;
        return r;
}

static int try_scan(const uint8_t *bytes, size_t n_bytes, size_t *n_messagep)
{
        uint64_t state = 0x9e3779b97f4a7c15 ^ n_bytes;
        enum message_verdict verdict;
        struct scan scan;
        size_t n_again, n_walked = 0;
        int r;

        for (size_t i = 0; i < n_bytes; i++)
                state = (state ^ bytes[i]) * 0x100000001b3;
        scan_init(&scan);
        r = scan_copy(&scan, bytes, n_bytes);
        for (unsigned i = 0; i < 3; i++) {
                must(scan_pieces(bytes, n_bytes, i == 0 ? 64 : 0, 1 + n_bytes / (i == 1 ? 2 : 12),
                                 &state, &n_again) == r ||
                             n_bytes == 0,
                     "another answer in pieces");
                must(r != 0 || n_again == scan.n_seen);
        }
        must(strlen(scan_error(r)) > 0);

        verdict = message_walk(bytes, n_bytes, 0, &n_walked);
        must((r == 0) == (verdict == MESSAGE_WHOLE) || r == SCAN_E_COUNT || r == SCAN_E_SIZE,
             "%d, and %d of the plain reader", r, verdict);
        must(r != 0 || n_walked == scan.n_seen);
        must(r != SCAN_MORE || verdict == MESSAGE_CUT);
        must(r != SCAN_E_DEPTH || verdict == MESSAGE_DEEP);
        must(r != SCAN_E_TYPE || verdict == MESSAGE_STRANGE);
        *n_messagep = scan.n_seen;
        return r;
}

/* ---- what passed ---- */

static void check_text(const char *text, size_t max)
{
        must(strlen(text) <= max && utf8_valid_prefix(text, strlen(text)) == strlen(text));
}

static void check_name(const char *name)
{
        if (!name)
                return;
        check_text(name, TD_NAME_MAX);
        must(*name && !utf8_has_control(name, strlen(name)));
}

static void check_order(bool has_order, const struct td_type *type, const uint8_t *order)
{
        uint32_t seen = 0;

        for (unsigned i = 0; i < type->ndim; i++)
                seen |= 1u << order[i];
        must(!has_order || seen == (1u << type->ndim) - 1, "not an order of axes");
}

static void check_inputs(const struct request *request)
{
        uint64_t sum = 0;

        for (uint32_t i = 0; i < request->n_inputs; i++) {
                const struct request_input *input = &request->inputs[i];

                must(td_check_type(&input->type, NULL) == TD_OK);
                must(input->ref.kind != REF_HANDLE || input->ref.handle > 0);
                must(!input->donate || input->ref.kind == REF_HANDLE);
                must(!input->data || (input->ref.kind == REF_NONE && !input->has_view));
                must(!input->is_written || input->ref.kind != REF_NONE);
                check_name(input->ref.name);
                check_order(input->has_order, &input->type, input->order);
                if (!input->data)
                        continue;
                must(td_type_n_bytes(&input->type) <= TD_INLINE_MAX);
                for (int64_t k = 0; k < td_type_n_bytes(&input->type); k++)
                        sum += input->data[k]; /* a sanitizer looks on */
                must((uintptr_t)input->data % 8 == 0, "not aligned");
        }
        must(sum < UINT64_MAX);
}

static void check_outputs(const struct request *request)
{
        must(request->program.n_outputs <= TD_OUTPUTS_MAX);
        for (uint32_t i = 0; i < request->program.n_outputs; i++) {
                const struct request_output *output = &request->outputs[i];

                must(!output->has_into || (!output->handle && !output->name));
                must(!output->has_into || (output->into < request->n_inputs &&
                                           request->inputs[output->into].is_written));
                must(!output->map || output->handle);
                check_name(output->name);
        }
}

static uint64_t count_values(const struct td_block *block, unsigned depth)
{
        uint64_t n = block->n_nodes;

        must(depth <= TD_LOOP_DEPTH_MAX);
        for (uint32_t i = 0; i < block->n_nodes; i++) {
                const struct td_node *node = &block->nodes[i];

                must((node->loop != NULL) == td_op_has_body(node->op));
                must((node->name != NULL) == (node->op == TD_OP_USER));
                must(node->n_args <= TD_ARGS_MAX);
                if (!node->loop)
                        continue;
                must(node->loop->n_results <= TD_RESULTS_MAX &&
                     node->loop->n_watch <= TD_RESULTS_MAX && node->loop->n_steps >= 0 &&
                     node->loop->n_captures <= node->n_args && node->loop->every >= 0);
                n += count_values(&node->loop->body, depth + 1);
        }
        return n;
}

static void check_request(const struct request *request)
{
        must((unsigned)request->method < N_METHODS);
        must(td_check_type(&request->type, NULL) == TD_OK);
        must(!request->data || (request->n_data == (uint64_t)td_type_n_bytes(&request->type) &&
                                request->n_data <= TD_INLINE_MAX));
        must(request->limit >= 1 && request->limit <= TD_LIST_MAX);
        must(!request->is_retry || request->has_op_id);
        must(!request->progress_ms || request->progress_ms >= TD_PROGRESS_MS_MIN);
        check_name(request->name);
        check_name(request->ref.name);
        check_order(request->has_order, &request->type, request->order);
        check_text(request->prefix, TD_NAME_MAX);
        check_text(request->after, TD_NAME_MAX);
        if (request->client)
                check_text(request->client, TD_NAME_MAX);
        check_inputs(request);
        check_outputs(request);
        must(request->n_inputs + count_values(&request->program.block, 0) <= TD_VALUES_MAX);
}

/* ---- inference ---- */

static void try_infer(const struct request *request)
{
        static struct td_type values[TD_VALUES_MAX];
        const struct td_program *program = &request->program;
        struct td_type *inputs;
        struct td_refusal refusal = { .message = "" };
        uint64_t n;
        int r;

        if (request->method != METHOD_RUN && request->method != METHOD_DEFINE)
                return;
        inputs = malloc((request->n_inputs + 1) * sizeof(*inputs));
        must(inputs != NULL, "no memory");
        for (uint32_t i = 0; i < request->n_inputs; i++) {
                inputs[i] = request->inputs[i].type;
                if (request->inputs[i].ref.kind != REF_NONE && !request->inputs[i].has_view)
                        inputs[i] = (struct td_type){ TD_FLOAT64, 2, { 3, 3 } };
        }
        r = td_infer_program(program, inputs, values, &refusal);
        must(r == TD_OK || (refusal.code == (unsigned)r && td_error_info(r) && *refusal.message),
             "%d: %s", r, refusal.message);
        if (!r) {
                n = td_block_n_values(&program->block);
                for (uint64_t i = 0; i < n; i++)
                        must(!td_type_is_known(&values[i]) ||
                             td_check_type(&values[i], NULL) == TD_OK);
                for (uint32_t i = 0; i < program->n_outputs; i++)
                        must(program->outputs[i] < n);
        }
        free(inputs);
}

/* ---- decode ---- */

/* The outcome, and as bytes what was said: the request, or the refusal. */
static int read_message(const uint8_t *bytes, size_t n_bytes, struct nodes_cache *cache,
                        struct dump *said)
{
        struct td_refusal refusal = { .message = "" };
        struct request *request = NULL;
        uint8_t *copy = malloc(n_bytes);
        int r;

        must(copy != NULL, "no memory");
        memcpy(copy, bytes, n_bytes);
        r = request_read(&request, copy, n_bytes, cache, &refusal);
        memset(copy, 0xee, n_bytes);
        free(copy);
        must(r == 0 || r == REQUEST_E_MALFORMED || r == REQUEST_E_REFUSED);
        must((r == REQUEST_E_MALFORMED) == (request == NULL));
        if (r == 0) {
                check_request(request);
                try_infer(request);
                dump_request(said, request);
        } else {
                must(td_error_info((int)refusal.code) && *refusal.message &&
                     strlen(refusal.message) < sizeof(refusal.message));
                dump_number(said, refusal.code);
                dump_text(said, refusal.message);
        }
        request_free(request);
        return r;
}

static void try_cache(const uint8_t *bytes, size_t n_bytes, const struct dump *wanted, int r)
{
        struct nodes_cache cache;

        nodes_cache_init(&cache);
        for (unsigned i = 0; i < 2; i++) {
                struct dump said = { .bytes = NULL };

                must(read_message(bytes, n_bytes, &cache, &said) == r, "with a cache: another");
                must(dump_same(wanted, &said), "with a cache: what is said differs");
                dump_free(&said);
        }
        nodes_cache_deinit(&cache);
}

static void try_other_bytes(const uint8_t *bytes, size_t n_bytes, const struct dump *wanted, int r)
{
        struct dump message = { .bytes = NULL }, said = { .bytes = NULL };
        struct scan scan;

        must(message_widen(&message, bytes, n_bytes) == n_bytes);
        scan_init(&scan);
        if (scan_run(&scan, message.bytes, message.n_bytes) == 0) {
                must(scan.n_seen == message.n_bytes);
                must(read_message(message.bytes, message.n_bytes, NULL, &said) == r,
                     "in other bytes: another");
                must(r != 0 || dump_same(wanted, &said), "in other bytes: what is said differs");
        } else {
                must(message.n_bytes > TD_MESSAGE_MAX, "in other bytes: not a message");
        }
        dump_free(&said);
        dump_free(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
        struct dump said = { .bytes = NULL };
        size_t n_message;
        int r;

        if (try_scan(bytes, n_bytes, &n_message))
                return 0;
        r = read_message(bytes, n_message, NULL, &said);
        try_cache(bytes, n_message, &said, r);
        try_other_bytes(bytes, n_message, &said, r);
        dump_free(&said);
        return 0;
}
