# SPDX-License-Identifier: MIT
"""tensord.aio: the verbs awaited, many tasks at once, a loop that goes on, cancelled tasks."""

import asyncio
import inspect
import time

import numpy
import pytest

import tensord
from kit import wait_until
from sanitized import SLOWER
from tensord import aio


def run(main, daemon):
    """asyncio.run of main(client), with a client of its own."""

    async def whole():
        async with await aio.connect(daemon.socket) as client:
            return await asyncio.wait_for(main(client), 60 * SLOWER)

    return asyncio.run(whole())


def long_program(client):
    """A minute of work."""
    p = tensord.Program()
    x = client.sync.put(numpy.zeros(100_000))
    return p, p.loop(200_000, lambda i, u: tensord.exp(u * 0), x)


async def until(condition, what):
    deadline = time.monotonic() + 10 * SLOWER
    while not await condition():
        assert time.monotonic() < deadline, f"it did not happen that {what}"
        await asyncio.sleep(0.01)


async def until_computing(client):
    async def computes():
        return (await client.stat())["jobs"] > 0

    await until(computes, "a job is under way")


async def until_idle(client):
    async def idles():
        return (await client.stat())["jobs"] == 0

    await until(idles, "the job ended")


@pytest.mark.parametrize("name", sorted(tensord._default.FUNCTIONS))
def test_the_same_verbs(name):
    for there, here in (tensord, aio), (tensord.Client, aio.Client):
        function = getattr(here, name)
        assert inspect.iscoroutinefunction(function)
        assert inspect.signature(function) == inspect.signature(getattr(there, name))


def test_verbs(daemon, client):
    async def main(client):
        x = await client.put(numpy.arange(6.0).reshape(2, 3), "x")
        assert isinstance(x, tensord.Array) and x.client is client.sync
        y = await client.publish("y", x * 2 + 1)
        assert y.name == "y" and [row.name for row in await client.list()] == ["x", "y"]
        assert (await client.get("y")).tolist() == [[1, 3, 5], [7, 9, 11]]
        assert (await aio.asarray((await client.open("y")).T)).shape == (3, 2)
        a, b = await aio.eval(x.sum(), y.sum())
        assert a._resident is not None and (float(a), float(b)) == (15, 36)
        assert (await client.wait("x", timeout=5)).shape == (2, 3)
        with pytest.raises(tensord.NotFound):
            await client.open("z")
        with pytest.raises(tensord.LinAlgError):
            await aio.call(tensord.linalg.inv, x[:, :2] * 0)
        p = tensord.Program()
        assert (await client.run(p, p.input(x) + 1)).tolist() == [[1, 2, 3], [4, 5, 6]]
        await client.delete("y")
        with pytest.raises(RuntimeError, match="StopIteration"):
            await aio.call(next, iter(()))
        await client.close()
        assert client.is_closed
        with pytest.raises(tensord.Closed):
            await client.ping()

    run(main, daemon)


def test_default_client(daemon, client):
    out = daemon.python("""
import asyncio, tensord
from tensord import aio
async def main():
    await aio.put([1.0, 2.0], "x")
    return (await aio.eval((await aio.open("x")) * 2)).tolist()
print(asyncio.run(main()))
""")
    assert out == "[2.0, 4.0]\n"


def test_the_loop_goes_on(daemon, client):
    """While the daemon computes, other tasks take turns as ever."""

    async def main(client):
        computing = asyncio.create_task(client.run(*long_program(client)))
        await until_computing(client)
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not computing.done()
        computing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await computing
        await until_idle(client)

    run(main, daemon)


def test_many_tasks(daemon, client):
    async def main(client):
        x = await client.put(numpy.arange(1000.0))

        async def work(i):
            y = await client.publish(f"y/{i}", x * i + 1)
            assert float(await aio.eval(y.sum())) == i * 499500 + 1000
            return await client.get(f"y/{i}")

        arrays = await asyncio.gather(*[work(i) for i in range(200)])
        assert [int(a[1]) for a in arrays] == list(range(1, 201))
        assert len(await client.list()) == 200

    run(main, daemon)


def test_those_who_wait_do_not_keep_out_who_brings(daemon, client):
    """However many wait for a name, whoever gives it finds a thread."""

    async def main(client):
        waiting = [asyncio.create_task(client.wait("late")) for _ in range(150)]
        await asyncio.sleep(0)
        await client.publish("late", tensord.arange(3.0))
        got = await asyncio.gather(*waiting)
        assert all(x.shape == (3,) for x in got)

    run(main, daemon)


def test_a_cancelled_task_ends_the_job(daemon, client):
    async def main(client):
        p, u = long_program(client)
        task = asyncio.create_task(client.run(p, u))
        await until_computing(client)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 1 * SLOWER
        await until_idle(client)
        assert float(await aio.eval(client.sync.put(20.5) * 2)) == 41  # the connection is fine

    run(main, daemon)


def test_a_cancelled_eval_stays_pending(daemon, client):
    async def main(client):
        x = await client.put(numpy.zeros(100_000))
        y = tensord.fori_loop(0, 200_000, lambda i, u: tensord.exp(u * 0), x)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(aio.eval(y), 0.3)
        await until_idle(client)
        assert y._resident is None and y.shape == (100_000,)

    run(main, daemon)


def test_a_cancelled_wait(daemon, client):
    async def main(client):
        task = asyncio.create_task(client.wait("never"))

        async def waits():
            rows = (await client.holders())["connections"]
            return any(row["requests"] > 1 for row in rows)

        await until(waits, "it waits")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async def ended():
            return not await waits()

        await until(ended, "it does not wait any more")

    run(main, daemon)


def test_cancelled_before_it_began(daemon, client):
    async def main(client):
        task = asyncio.create_task(client.put([1.0], "x"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.list() == []

    run(main, daemon)


def test_leases(daemon, client):
    async def main(client):
        t = await client.put(numpy.zeros(4), "t", mutable=True)
        async with aio.write(t[:2]) as a:
            a[:] = 1
            with pytest.raises(tensord.LeaseConflict):
                async with aio.read(t):
                    pass
        async with aio.read(t) as a:
            assert a.tolist() == [1, 1, 0, 0]
        with pytest.raises(ZeroDivisionError):
            async with aio.write(t, timeout=5):
                1 / 0
        async with aio.write(t):
            pass

    run(main, daemon)


def test_a_lease_that_came_too_late_is_given_back(daemon, client):
    """The task that asked for it was cancelled meanwhile."""

    async def main(other):
        t = client.put(numpy.zeros(4), "t", mutable=True)
        theirs = await other.open("t")

        async def take():
            async with aio.write(theirs, timeout=60):
                raise AssertionError("nobody wants it any more")

        async def wanted():
            return (await other.stat("t"))["leases"] == 2

        for _ in range(3):
            with t.write(timeout=10):  # until the one before is back
                task = asyncio.create_task(take())
                await until(wanted, "it waits for the lease")
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        with t.write(timeout=10):
            pass

    run(main, daemon)


def test_follow(daemon, client):
    async def main(client):
        t = await client.put(numpy.zeros(3), "t", mutable=True)
        seen = []

        async def watch():
            async for version in aio.follow(await client.open("t"), timeout=20):
                async with aio.read(t, timeout=5) as a:
                    seen.append((version, a[0]))
                    if a[0] == 5:
                        return

        watching = asyncio.create_task(watch())
        for i in range(1, 6):
            async with aio.write(t, timeout=5) as a:
                a[0] = i
            await asyncio.sleep(0.01)
        await watching
        assert seen[-1][1] == 5 and [s[0] for s in seen] == sorted({s[0] for s in seen})
        assert [v async for v in aio.follow(t, timeout=0)] == [t.version]

    run(main, daemon)


def test_an_end_without_awaiting(daemon, client):
    """Threads that wait for ever do not keep the process from ending."""
    out = daemon.python("""
import asyncio, tensord
from tensord import aio
async def main():
    global task
    task = asyncio.ensure_future(aio.wait("never"))
    while not any(row["requests"] > 1 for row in tensord.holders()["connections"]):
        await asyncio.sleep(0.01)
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
task.cancel = lambda: None
task._log_destroy_pending = False
print("done")
""", timeout=30)
    assert out == "done\n"
    wait_until(lambda: len(client.holders()["connections"]) == 1, "its connection ended")


def test_after_a_fork(daemon, client):
    daemon.python("""
import asyncio, os, sys, tensord
from tensord import aio
async def main():
    return float(await aio.eval((await aio.put([1.0, 2.0])).sum()))
assert asyncio.run(main()) == 3
pid = os.fork()
assert asyncio.run(main()) == 3
if pid == 0:
    sys.exit()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""")
