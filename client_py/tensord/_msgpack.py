# SPDX-License-Identifier: MIT
"""As much of MessagePack as the parameters and results of ``stat``, ``ops`` and ``infer`` need."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def pack(value: object) -> bytes:
    """Bytes of a dict, list, str, bytes, bool, None or int in 64 bits; 2^16 - 1 entries at most."""
    if value is None:
        return b"\xc0"
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return bytes([value]) if value < 128 else b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\xda" + struct.pack(">H", len(text)) + text
    if isinstance(value, bytes):
        return b"\xc5" + struct.pack(">H", len(value)) + value
    if isinstance(value, (list, tuple)):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(pack, value))
    if isinstance(value, dict):
        entries = b"".join(pack(k) + pack(v) for k, v in value.items())
        return b"\xde" + struct.pack(">H", len(value)) + entries
    raise TypeError(f"{type(value).__name__} is not sent")


# first byte -> (struct format of the number that follows)
_NUMBERS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
# first byte -> (format of the length, kind)
_SIZED = {
    0xC4: (">B", "bin"),
    0xC5: (">H", "bin"),
    0xC6: (">I", "bin"),
    0xD9: (">B", "str"),
    0xDA: (">H", "str"),
    0xDB: (">I", "str"),
    0xDC: (">H", "array"),
    0xDD: (">I", "array"),
    0xDE: (">H", "map"),
    0xDF: (">I", "map"),
}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self, fmt: str) -> Any:
        (value,) = struct.unpack_from(fmt, self.data, self.at)
        self.at += struct.calcsize(fmt)
        return value

    def raw(self, n: int) -> bytes:
        if n > len(self.data) - self.at:
            raise ValueError("MessagePack ends too early")
        self.at += n
        return self.data[self.at - n : self.at]

    def sized(self, kind: str, n: int) -> Any:
        if kind == "bin":
            return self.raw(n)
        if kind == "str":
            return self.raw(n).decode()
        if kind == "array":
            return [self.value() for _ in range(n)]
        return {self.value(): self.value() for _ in range(n)}

    def value(self) -> Any:
        first = self.raw(1)[0]
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first < 0x90:
            return self.sized("map", first & 0x0F)
        if first < 0xA0:
            return self.sized("array", first & 0x0F)
        if first < 0xC0:
            return self.sized("str", first & 0x1F)
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first in _NUMBERS:
            return self.number(_NUMBERS[first])
        if first in _SIZED:
            fmt, kind = _SIZED[first]
            return self.sized(kind, self.number(fmt))
        raise ValueError(f"MessagePack type 0x{first:02x} is not expected here")


def unpack(data: bytes) -> Any:
    """The one value that the bytes hold. ValueError where they do not."""
    reader = _Reader(data)
    try:
        value = reader.value()
    except struct.error:
        raise ValueError("MessagePack ends too early") from None
    if reader.at != len(data):
        raise ValueError("more bytes than one MessagePack value")
    return value
