# SPDX-License-Identifier: MIT
"""Writing into mutable tensors: the value is computed in the daemon and stored there."""

import numpy

from ._errors import error
from ._graph import Input
from ._index import Advanced
from ._lease import check_mutable
from ._manipulation import assign, fill
from ._program import Program


def assign_into(tensor, key, value):
    """``tensor[key] = value``."""
    check_mutable(tensor)
    if Advanced.of(tensor.shape, key) is not None:
        target, new = tensor, assign(Input(tensor), key, value)
    else:
        target = tensor[key]
        if target._is_same(value):
            return  # the end of ``tensor[key] += ...``
        new = fill(target, value)
    tensor.client.run(Program(), new, into=target)


def compute_into(tensor, op, other):
    """``tensor = op(tensor, other)``, in its memory; the tensor."""
    new = op(Input(tensor), other)
    if new.shape != tensor.shape:
        raise error("shape_mismatch", f"shape {new.shape} does not go into {tensor.shape}")
    if not numpy.can_cast(new.dtype, tensor.dtype, "same_kind"):
        raise error("dtype_mismatch", f"{new.dtype} does not go into {tensor.dtype}")
    return tensor.client.run(Program(), new.astype(tensor.dtype), into=tensor)
