# SPDX-License-Identifier: MIT
"""What users write, for mypy to check as strictly as the package (tests/tidy/run); never run.

Lines are right, or carry the code of the error that mypy must report there: it complains of a mark
that is not needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, assert_type

import numpy
import numpy.typing as npt

import tensord
from tensord import Array, Client, Function, Program, Record, Value

Anything = numpy.ndarray[Any, numpy.dtype[Any]]


# ---- arrays ----


def arrays(client: Client) -> None:
    x = tensord.zeros((2, 3), dtype=tensord.float32)
    assert_type(x, Array)
    assert_type(client.put([[1.0, 2.0], [3.0, 4.0]], "x", replace=True), Array)
    assert_type(tensord.asarray(numpy.arange(3), copy=True), Array)
    assert_type(tensord.get("x"), Anything)
    copy: Anything = numpy.asarray(x)
    copy += 1
    assert_type(x.shape, tuple[int, ...])
    assert_type(x.name, str | None)
    assert_type(x.version, int | None)
    tensord.zeros("2")  # type: ignore[arg-type]
    tensord.zeros((2, 3), device="gpu")  # type: ignore[arg-type]
    tensord.put([1.0], mutabel=True)  # type: ignore[call-arg]
    tensord.get("x", mode="w")  # type: ignore[arg-type]
    tensord.create(3, order="K")  # type: ignore[arg-type]
    x.shape = (6,)
    x.nmae  # type: ignore[attr-defined]


def operators(x: Array, y: Array, a: npt.NDArray[numpy.float64]) -> None:
    assert_type(x + y, Array)
    assert_type(2 * x - 1.5, Array)
    assert_type(x @ a, Array)
    assert_type(-abs(x) ** 2, Array)
    assert_type(x == y, Array)
    assert_type((x > 0) & (x <= y), Array)
    assert_type(x[0], Array)
    assert_type(x[..., None, 1:3, [0, 2]], Array)
    assert_type(x[x > 0], Array)
    assert_type(x.T @ x.mT, Array)
    assert_type(divmod(x, 2), tuple[Array, Array])
    assert_type(float(x.sum()), float)
    assert_type([row for row in x], list[Array])
    x[0] = 1
    x[x > 0] = y[x > 0]
    x += 1
    x @= y
    assert_type(x, Array)
    x + {}  # type: ignore[call-overload]
    x[object()]  # type: ignore[index]
    x[0] = object()  # type: ignore[arg-type]


def methods(x: Array) -> None:
    assert_type(x.sum(axis=0, keepdims=True), Array)
    assert_type(x.var(ddof=1), Array)
    assert_type(x.astype("float32").reshape(2, -1).reshape((6,)), Array)
    assert_type(x.clip(0, 1), Array)
    assert_type(x.nonzero(), tuple[Array, ...])
    assert_type(x.copy().flatten(), Array)
    assert_type(x.tobytes(), bytes)
    assert_type(x.share().snapshot("y"), Array)
    x.sum(axes=0)  # type: ignore[call-arg]
    x.mean(axis="rows")  # type: ignore[arg-type]
    x.astype()  # type: ignore[call-arg]
    x.name = "y"  # type: ignore[misc]


def functions(x: Array) -> None:
    assert_type(tensord.sin(x), Array)
    assert_type(tensord.maximum(x, 0), Array)
    assert_type(tensord.where(x > 0, x, 0), Array)
    assert_type(tensord.concat([x, x], axis=1), Array)
    assert_type(tensord.linalg.inv(x), Array)
    assert_type(tensord.linalg.eigh(x).eigenvalues, Array)
    assert_type(tensord.fft.rfft(x, norm="ortho"), Array)
    assert_type(tensord.eval(x), Array)
    _, second = tensord.eval(x + 1, x * 2)
    assert_type(second, Array)
    tensord.sin(x, x)  # type: ignore[call-overload]
    tensord.eval([x])  # type: ignore[call-overload]
    tensord.fft.rfft(x, norm="orthogonal")  # type: ignore[arg-type]


# ---- memory that others see ----


def leases(x: Array) -> None:
    with x.write(timeout=1) as a:
        assert_type(a, Anything)
        a += 1
    with x[1:].read() as b:
        assert_type(b.sum(), Any)
    with tensord.create((2, 3), "int64", "squares") as t:
        assert_type(t, tensord.Unsealed)
        t.array[:] = 4
    for version in x.follow(timeout=0):
        assert_type(version, int)
    with x.write(wait=1):  # type: ignore[call-arg]
        pass


def clients() -> None:
    with tensord.connect("/run/tensord/socket", start=False) as client:
        assert_type(client, Client)
        rows = client.list("x")
        assert_type(rows, list[Record])
        assert_type(rows[0].nbytes, int)
        assert_type(client.stat(), dict[str, Any])
        client.put([1.0], "x").snapshot(client)  # type: ignore[arg-type]
    tensord.connect(3)  # type: ignore[arg-type]


def errors() -> str | None:
    try:
        tensord.open("x")
    except tensord.NotFound as problem:
        key: KeyError = problem
        print(key)
        return problem.code
    except (tensord.OutOfMemory, MemoryError):
        return None
    except tensord.NotThere:  # type: ignore[attr-defined]
        return None
    return ""


# ---- programs ----


@tensord.jit
def step(x: Array, dt: float, *, n: int = 1) -> Array:
    return x + dt * (n - x)


@tensord.jit(static_argnums=1)
def power(x: Array, n: int) -> tuple[Array, Array]:
    return x**n, x


def traced(x: Array) -> None:
    assert_type(step(x, 0.5, n=2), Array)
    assert_type(power(x, 2), tuple[Array, Array])
    step(x)  # type: ignore[call-arg]
    step(x, "0.5")  # type: ignore[arg-type]
    power(x, 2.5)  # type: ignore[arg-type]


def programs(x: Array) -> None:
    p = Program()
    v = p.input(x)
    assert_type(v, Value)
    assert_type(v * 2 + x, Value)
    assert_type(x - v, Value)
    assert_type(v[0].sum(), Value)
    scale = tensord.define(p, v / v.sum())
    assert_type(scale, Function)
    scale([1.0, 2.0], timeout=1)
    tensord.run(p, v, names="y", progress=lambda done, of: print(done / of))
    tensord.run(v)  # type: ignore[arg-type]
    p.input()  # type: ignore[call-arg]


# ---- asyncio ----


async def awaited(x: Array) -> None:
    async with await tensord.aio.connect(start=False) as client:
        assert_type(await client.put([1.0, 2.0], "x"), Array)
        assert_type(await client.list(), list[Record])
    assert_type(await tensord.aio.open("x"), Array)
    assert_type(await tensord.aio.eval(x + 1), Array)
    assert_type(await tensord.aio.call(tensord.linalg.det, x), Array)
    async with tensord.aio.write(x) as a:
        assert_type(a, Anything)
    async for version in tensord.aio.follow(x):
        assert_type(version, int)
    await client.put()  # type: ignore[call-arg]
    await tensord.aio.connect(strat=False)  # type: ignore[call-arg]
    tensord.aio.open("x")  # type: ignore[unused-coroutine]


def run() -> Iterator[None]:
    with tensord.progress():
        yield asyncio.run(awaited(tensord.ones(3)))
