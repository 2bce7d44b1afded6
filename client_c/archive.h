/* SPDX-License-Identifier: MIT */
/*
 * Archives
 *
 * Named tensors in a directory, to be there again after a reboot: a .npy file for each, which numpy
 * reads too, and MANIFEST, which says what they were. A save becomes visible as a whole, by the
 * rename of its manifest; what was saved before stays until then. A load takes what is whole and
 * tells of each that is not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tensord/tensord.h"

struct archive_report {
        size_t n_done;
        size_t n_failed;
        /* About one name. */
        void (*tell)(const char *name, const td_error *error);
};

/*
 * All names with that prefix (NULL: all); what was saved of others stays. TD_OK also where some
 * failed, of which what was saved before stays; else nothing changed.
 */
int archive_save(td_client *client, const char *directory, const char *prefix,
                 struct archive_report *report, td_error *error);
/* replaces: names may be in use. TD_OK also where some failed. */
int archive_load(td_client *client, const char *directory, bool replaces,
                 struct archive_report *report, td_error *error);
