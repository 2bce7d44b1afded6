# SPDX-License-Identifier: MIT
"""Writing into mutable tensors: the value is computed in the daemon and stored there.

Tensors get these methods here, since what they do stands on programs and functions, and those stand
on tensors.
"""

import operator

import numpy

from ._errors import error
from ._graph import Input
from ._index import Advanced
from ._lease import check_mutable
from ._manipulation import assign, fill
from ._program import Program
from ._tensor import Tensor

_IN_PLACE = (
    "add sub mul matmul truediv floordiv mod pow lshift rshift and or xor"  # of operator.__x__
).split()


def _set_item(self, key, value):
    """Write into a mutable tensor, in the daemon: one request."""
    check_mutable(self)
    if Advanced.of(self.shape, key) is not None:
        target, new = self, assign(Input(self), key, value)
    else:
        target = self[key]
        if target._is_same(value):
            return  # the end of ``t[key] += ...``
        new = fill(target, value)
    self.client.run(Program(), new, into=target)


def _in_place(name):
    op = getattr(operator, f"__{name}__")

    def method(self, other):
        if not self.is_mutable:
            return NotImplemented  # ``t = op(t, other)`` then
        new = op(Input(self), other)
        if new.shape != self.shape:
            raise error("shape_mismatch", f"shape {new.shape} does not go into {self.shape}")
        if not numpy.can_cast(new.dtype, self.dtype, "same_kind"):
            raise error("dtype_mismatch", f"{new.dtype} does not go into {self.dtype}")
        return self.client.run(Program(), new.astype(self.dtype), into=self)

    method.__name__ = f"__i{name}__"
    method.__doc__ = f"{name}, in the memory of a mutable tensor; of another, a new one."
    return method


Tensor.__setitem__ = _set_item
for _name in _IN_PLACE:
    setattr(Tensor, f"__i{_name}__", _in_place(_name))
