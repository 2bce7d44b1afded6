/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/workers.h"

/* Run one of the works that wait, from the oldest on; false: there is none. */
bool fake_workers_run(struct workers *workers, unsigned which);
