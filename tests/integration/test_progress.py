# SPDX-License-Identifier: MIT
"""How far a request is, told while it computes."""

import threading
import time

import numpy
import pytest

import tensord

N = 100_000
N_STEPS = 10_000_000  # many minutes of work


def is_steps_of(steps, n_turns):
    """A step a turn, and what stands before and behind the loop."""
    return n_turns <= steps <= n_turns + 2


def rod(n_steps):
    """A rod, and a loop over it whose body is one step."""
    body = {"steps": n_steps, "captures": 0, "body": [["exp", [1], {}]], "results": [2]}
    return [["zeros", [], {"shape": [N], "dtype": "float64"}], ["loop", [0], body]]


def send_rod(raw, inputs=(), nodes=None, value=1, **keys):
    return raw.send("run", inputs=list(inputs), nodes=nodes or rod(N_STEPS),
                    outputs=[{"value": value, "handle": raw.handle()}], **keys)


def until_answered(raw, msgid):
    """(what was told of each request meanwhile, the error's code)"""
    told = []
    while True:
        message = raw.receive()
        if message[0] == 2:
            assert message[1] == "progress"
            told.append(message[2])
        elif message[1] == msgid:
            return told, message[2] and message[2]["code"]


def test_told_while_it_computes(daemon):
    with daemon.raw() as raw:
        msgid = send_rod(raw, progress_ms=20)
        started = time.monotonic()
        told = []
        while len(told) < 20:
            kind, what, params = raw.receive()
            assert (kind, what) == (2, "progress")
            told.append(params)
        assert time.monotonic() - started > 0.3  # no more often than asked
        assert all(of == msgid for of, _, _ in told)
        done = [done for _, done, _ in told]
        assert done == sorted(done) and 0 < done[-1] < N_STEPS
        assert len({steps for _, _, steps in told}) == 1
        assert is_steps_of(told[0][2], N_STEPS)
        raw.notify("cancel", msgid=msgid)
        assert until_answered(raw, msgid)[1] == "cancelled"


def test_calls_are_told_of_too(daemon):
    with daemon.raw() as raw:
        raw.call("define", definition=1, inputs=[], nodes=rod(N_STEPS), outputs=[{"value": 1}])
        msgid = raw.send("call", definition=1, inputs=[], outputs=[{"handle": 1}],
                         progress_ms=10, deadline_ms=300)
        told, code = until_answered(raw, msgid)
        assert told and told[0][0] == msgid and code == "deadline_exceeded"


def test_who_does_not_ask_is_not_told(daemon):
    with daemon.raw() as raw:
        assert until_answered(raw, send_rod(raw, deadline_ms=200)) == ([], "deadline_exceeded")


def test_who_does_not_read_is_told_once(daemon):
    with daemon.raw() as raw, daemon.raw() as other:
        msgid = send_rod(raw, progress_ms=10, deadline_ms=400)
        while not other.call("stat")["jobs"]:
            pass
        while other.call("stat")["jobs"]:
            pass
        told, code = until_answered(raw, msgid)
        assert len(told) == 1 and code == "deadline_exceeded"


@pytest.mark.parametrize("n_waiting, is_told", [(15, True), (16, False)])
def test_sixteen_at_a_time_are_told_of(daemon, n_waiting, is_told):
    with daemon.raw() as raw:
        first = send_rod(raw)
        for _ in range(n_waiting):
            send_rod(raw, [{"handle": 1}], [["sum", [0], {}]], progress_ms=10)
        last = send_rod(raw, progress_ms=10, deadline_ms=400)
        told, code = until_answered(raw, last)
        assert bool(told) == is_told and code == "deadline_exceeded"
        raw.notify("cancel", msgid=first)
        assert until_answered(raw, first)[1] == "cancelled"


@pytest.mark.parametrize("progress_ms", [0, 9, -1, 1 << 32, 1.5, "often"])
def test_intervals_that_are_refused(daemon, progress_ms):
    with daemon.raw() as raw:
        refusal = raw.refusal("run", inputs=[], nodes=rod(1), outputs=[{"value": 1, "handle": 1}],
                              progress_ms=progress_ms)
        assert refusal.code == "bad_arguments" and "progress_ms" in str(refusal)


def program(client, n_steps):
    p = tensord.Program()
    return p, p.loop(n_steps, lambda i, u: tensord.exp(u * 0), client.put(numpy.zeros(N)))


def test_a_callable_is_told(client):
    told = []
    p, u = program(client, 3000)
    result = client.run(p, u, progress=lambda done, steps: told.append((done, steps)))
    assert (numpy.asarray(result) == 1).all()
    assert told == sorted(told) and all(0 <= done <= steps for done, steps in told)
    assert all(is_steps_of(steps, 3000) for _, steps in told)


def test_what_a_callable_raises_cancels(client):
    def stop(done, steps):
        client.ping()  # it may use the client
        raise KeyError("stop")

    p, u = program(client, N_STEPS)
    with pytest.raises(KeyError, match="stop"):
        client.run(p, u, progress=stop)
    while client.stat()["jobs"]:
        pass
    assert float(client.run(p, p.input(20.5) * 2)) == 41


def test_two_threads_are_told_of_their_own(client):
    told = {}

    def work(n_steps):
        p, u = program(client, n_steps)
        client.run(p, u, progress=lambda done, steps: told.setdefault(n_steps, set()).add(steps))

    threads = [threading.Thread(target=work, args=(n,)) for n in (4000, 5000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(is_steps_of(steps, n) for n, (steps,) in told.items())


def test_functions_tell_too(client):
    def stop(done, steps):
        raise KeyError("stop")

    p = tensord.Program()
    x = p.parameter((N,))
    f = client.define(p, p.loop(N_STEPS, lambda i, u: tensord.exp(u * 0), x))
    with pytest.raises(KeyError, match="stop"):
        f(numpy.zeros(N), progress=stop)
