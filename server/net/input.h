/* SPDX-License-Identifier: MIT */
/*
 * Input
 *
 * The bytes that one peer sent and that are not yet done with, and the messages in them. The buffer
 * grows with a message that needs it, to TD_MESSAGE_MAX at most, since the scan refuses longer ones
 * before they are there; it shrinks once it is empty.
 *
 * Descriptors that a peer sends along are never accepted: there is no control buffer for them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/scan.h"

/*
 * What an idle one may keep. It goes with the connection, and is no part of what users share, so
 * that none of them fills that up without having a share of it.
 */
#define INPUT_KEPT_BYTES 16384

struct input {
        uint8_t *bytes;
        size_t n_allocated;
        size_t begin; /* of the message that is being scanned */
        size_t end;   /* of what was received */
        struct scan scan;
};

enum {
        INPUT_E_END = 1, /* the peer sends no more */
        INPUT_E_EMPTY,   /* nothing there now */
};

void input_init(struct input *input);
void input_deinit(struct input *input);

/* Receive once, as much as there is room for. 0, INPUT_E_*, or negative errno. Every whole message
 * must have been taken before. */
int input_receive(struct input *input, int fd);
/*
 * The next whole message, valid until the next call of input_receive() or input_settle(): 0,
 * SCAN_MORE if there is none, or SCAN_E_*.
 */
int input_next(struct input *input, const uint8_t **bytesp, size_t *n_bytesp);
/* Bytes of a message that is not whole. */
bool input_is_started(const struct input *input);
/* Between two turns: give back what a large message took. */
void input_settle(struct input *input);
