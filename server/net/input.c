/* SPDX-License-Identifier: MIT */
#include "net/input.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"

#define INPUT_FIRST_BYTES 4096

static_assert(TD_MESSAGE_MAX % INPUT_FIRST_BYTES == 0 &&
                      ((TD_MESSAGE_MAX / INPUT_FIRST_BYTES) &
                       (TD_MESSAGE_MAX / INPUT_FIRST_BYTES - 1)) == 0,
              "doubling the first buffer comes out at the largest message");

void input_init(struct input *input)
{
        *input = (struct input){ .bytes = NULL };
        scan_init(&input->scan);
}

void input_deinit(struct input *input)
{
        free(input->bytes);
        *input = (struct input){ .bytes = NULL };
}

bool input_is_started(const struct input *input)
{
        return input->begin < input->end;
}

/* Room behind what is there; at least one byte. */
static int input_make_room(struct input *input)
{
        size_t n_allocated = input->n_allocated ? input->n_allocated * 2 : INPUT_FIRST_BYTES;
        uint8_t *bytes;

        if (input->begin > 0) {
                memmove(input->bytes, input->bytes + input->begin, input->end - input->begin);
                input->end -= input->begin;
                input->begin = 0;
        }
        if (input->end < input->n_allocated)
                return 0;

        /* Not reached: a message as long as this was refused by the scan, or is whole. */
        if (input->n_allocated >= TD_MESSAGE_MAX)
                return error_origin(-EMSGSIZE);
        bytes = realloc(input->bytes, n_allocated);
        if (!bytes)
                return error_origin(-ENOMEM);
        input->bytes = bytes;
        input->n_allocated = n_allocated;
        return 0;
}

int input_receive(struct input *input, int fd)
{
        ssize_t n;
        int r;

        r = input_make_room(input);
        if (r)
                return r;
        n = recv(fd, input->bytes + input->end, input->n_allocated - input->end, MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? INPUT_E_EMPTY : -errno;
        if (n == 0)
                return INPUT_E_END;
        input->end += (size_t)n;
        return 0;
}

int input_next(struct input *input, const uint8_t **bytesp, size_t *n_bytesp)
{
        int r;

        r = scan_run(&input->scan, input->bytes + input->begin, input->end - input->begin);
        if (r)
                return r;
        *bytesp = input->bytes + input->begin;
        *n_bytesp = input->scan.n_seen;
        input->begin += input->scan.n_seen;
        scan_init(&input->scan);
        return 0;
}

void input_settle(struct input *input)
{
        if (input_is_started(input))
                return;
        input->begin = input->end = 0;
        if (input->n_allocated > INPUT_KEPT_BYTES) {
                free(input->bytes);
                input->bytes = NULL;
                input->n_allocated = 0;
        }
}
