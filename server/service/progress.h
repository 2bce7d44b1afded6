/* SPDX-License-Identifier: MIT */
/*
 * Telling how far calls are
 *
 * While a run or call computes, its client is told now and then, as often as it asked to be; never
 * while it has not read what it was sent before, so that one that does not read is sent nothing
 * more. It costs the job one store a step.
 *
 * Loop thread only.
 */
#pragma once

#include "service/core.h"

/* From now on, if its request asks for that, and not too many of its client's do. */
void progress_watch(struct call *call);
/* It ends. */
void progress_unwatch(struct call *call);
/* Those that are due; service->next_progress_ms says when the next is. */
void progress_tell(struct service *service);
