/* SPDX-License-Identifier: MIT */
#include "service/dispatch.h"

const struct handler handlers[N_METHODS] = {
        [METHOD_HELLO] = { handle_hello, false, false, false },
        [METHOD_PING] = { handle_ping, false, false, false },
        [METHOD_OPS] = { handle_ops, false, false, false },
        [METHOD_CREATE] = { handle_create, true, false, false },
        [METHOD_SEAL] = { handle_seal, false, false, true },
        [METHOD_PUT] = { handle_put, true, true, false },
        [METHOD_OPEN] = { handle_open, false, false, true },
        [METHOD_MAP] = { handle_map, false, false, true },
        [METHOD_UNMAP] = { handle_unmap, false, false, false },
        [METHOD_RELEASE] = { handle_release, false, false, false },
        [METHOD_NAME] = { handle_name, true, true, true },
        [METHOD_REPLACE] = { handle_name, true, true, true },
        [METHOD_DELETE] = { handle_delete, false, true, false },
        [METHOD_LEASE] = { handle_lease, false, false, true },
        [METHOD_UNLEASE] = { handle_unlease, false, false, false },
        [METHOD_LIST] = { handle_list, false, false, false },
        [METHOD_STAT] = { handle_stat, false, false, true },
        [METHOD_INFER] = { handle_infer, false, false, false },
        [METHOD_RUN] = { handle_run, true, true, false },
        [METHOD_DEFINE] = { handle_define, false, false, false },
        [METHOD_CALL] = { handle_run, true, true, false },
        [METHOD_UNDEFINE] = { handle_undefine, false, false, false },
        [METHOD_CANCEL] = { handle_cancel, false, false, false },
};
