/* SPDX-License-Identifier: MIT */
/*
 * The .npy header of a segment
 *
 * A segment is a .npy file of format 1.0 whose header is padded to TD_HEADER_BYTES, so that people
 * can load it by path; so is the file that it is spilled to. The daemon parses neither: it knows
 * what the header has to be. Pure; any thread.
 */
#pragma once

#include "tensor/desc.h"

/*
 * Writes TD_HEADER_BYTES. A layout that is neither C nor Fortran order is described as the row of
 * its elements.
 */
void npy_write(uint8_t header[TD_HEADER_BYTES], const struct desc *desc);
