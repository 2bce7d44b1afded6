/* SPDX-License-Identifier: MIT */
/*
 * Limits
 *
 * Every bound that daemon and clients share, with its reason. Sizes in bytes, times in
 * milliseconds.
 * The daemon repeats those that a client needs in its answer to hello.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

/* Version of the protocol that PROTOCOL.md describes. */
#define TD_PROTOCOL_VERSION 1

/*
 * Dimensions of a tensor. A descriptor (shape and strides) stays at 256 bytes, so that a small
 * tensor costs < 1 KB.
 */
#define TD_NDIM_MAX 16

/* Bytes of a name: a file name's bound, so that a name can become a file. */
#define TD_NAME_MAX 255

/*
 * Data of a tensor that travels in messages and lives in the daemon's heap: a page; beyond it a
 * mapping is cheaper.
 */
#define TD_INLINE_MAX 4096

/* One message. Room for a program of TD_VALUES_MAX nodes, far below what could hurt the heap. */
#define TD_MESSAGE_MAX (1024 * 1024)

/* Nesting of arrays and maps in a message; three nested loops need 16. */
#define TD_DEPTH_MAX 16

/* Values of one program: inputs and results of nodes, nested blocks included. */
#define TD_VALUES_MAX 4096

/* Loops within loops. */
#define TD_LOOP_DEPTH_MAX 3

/* Results of one node: carried values and watched values of a loop. */
#define TD_RESULTS_MAX 64

/* Arguments of one node: captured and carried values of a loop. */
#define TD_ARGS_MAX 128

/* Outputs of one program. */
#define TD_OUTPUTS_MAX 64

/* Descriptors that one reply hands out; the kernel's own bound (SCM_MAX_FD) is 253. */
#define TD_FDS_MAX 16

/* Descriptors sent to one connection and not yet read by it. */
#define TD_FDS_UNREAD_MAX 32

/* Live handles of one connection. */
#define TD_HANDLES_MAX 65536

/* Handles of one connection whose request failed, of which it is remembered why. */
#define TD_FAILED_MAX 64

/* Programs that one connection has defined. */
#define TD_DEFINITIONS_MAX 1024

/* Requests of one connection whose progress is told at a time, and how often at most, in ms. */
#define TD_PROGRESS_MAX 16
#define TD_PROGRESS_MS_MIN 10

/* Requests of one connection that wait for an earlier job. */
#define TD_WAITING_MAX 1024

/* Leases that one connection holds, and leases of one tensor, held or waited for. */
#define TD_LEASES_MAX 128
#define TD_TENSOR_LEASES_MAX 512

/* How long a lease to write outlives the daemon, for who presents its nonce. */
#define TD_LEASE_RETURN_MS 5000

/* How long a lent tensor lives without references. */
#define TD_LEND_MS 60000

/* Rows of one page of list. */
#define TD_LIST_MAX 1000

/*
 * Replies queued for one connection: above the first it is no longer read from, above the second it
 * is dropped.
 */
#define TD_OUTPUT_SOFT (256 * 1024)
#define TD_OUTPUT_HARD (8 * 1024 * 1024)

/* A first message; a started message; output or descriptors that nobody reads. */
#define TD_FIRST_MESSAGE_MS 2000
#define TD_STARTED_MESSAGE_MS 5000
#define TD_OUTPUT_MS 10000

/* How long the outcome of a named write is remembered for a client that asks again. */
#define TD_OUTCOME_MS 60000

/* A segment begins with an .npy header of one page, data behind it is page-aligned. */
#define TD_HEADER_BYTES 4096

static_assert(TD_INLINE_MAX * 2 < TD_MESSAGE_MAX, "a put of a small tensor fits into a message");
static_assert(TD_LIST_MAX * (TD_NAME_MAX + 512) < TD_MESSAGE_MAX,
              "a page of list fits into a message");
static_assert(TD_MESSAGE_MAX <= TD_OUTPUT_HARD, "one reply never exceeds the output bound");
static_assert(TD_OUTPUTS_MAX * (TD_INLINE_MAX + 512) < TD_MESSAGE_MAX,
              "small outputs of a program fit into a reply");
static_assert(TD_OUTPUTS_MAX <= TD_HANDLES_MAX, "outputs of one program can all be given handles");
static_assert(TD_FDS_MAX <= TD_FDS_UNREAD_MAX,
              "one reply's descriptors fit under the bound of unread ones");
static_assert(TD_DEPTH_MAX >= 7 + 3 * TD_LOOP_DEPTH_MAX, "nested loops can be written down");
