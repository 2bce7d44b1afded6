# SPDX-License-Identifier: MIT
"""What a mistake shows: the user's line and the function called there, nothing behind it."""

import inspect
import os
import traceback

import numpy
import pytest

import tensord

PACKAGE = os.path.dirname(tensord.__file__)

# what is written: by whom it is raised, at most
MISTAKES = {
    "x + numpy.ones(7)": tensord.ShapeError,
    "numpy.ones(7) + x": tensord.ShapeError,
    "x @ numpy.ones((7, 7))": tensord.ShapeError,
    "-(x > 1)": tensord.DtypeError,
    "tensord.add(x, numpy.ones(7))": tensord.ShapeError,
    "tensord.exp(numpy.ones(3, object))": tensord.DtypeError,
    "tensord.sum(x, axis=5)": tensord.AxisError,
    "x.sum(axis=5)": tensord.AxisError,
    "x.reshape(5)": tensord.ShapeError,
    "x.T.permute_dims((0, 0))": tensord.AxisError,
    "tensord.concat([x, numpy.ones((7, 7))])": tensord.ShapeError,
    "tensord.where(x > 1, x, numpy.ones(7))": tensord.ShapeError,
    "tensord.linalg.inv(x[:, :2] * 0)": tensord.LinAlgError,
    "tensord.linalg.inv(x)": tensord.ShapeError,
    "tensord.zeros((2, -1))": tensord.ShapeError,
    "x.astype('datetime64[s]')": tensord.DtypeError,
    "tensord.take(x, [5], axis=0)": tensord.OutOfRange,
    "client.open('nothing')": tensord.NotFound,
    "client.put(x, '')": tensord.ArgumentError,
    "client.run(p)": tensord.ArgumentError,
    "client.stat('nothing')": tensord.NotFound,
    "x.share()": tensord.TensordError,
    "p.loop(3, lambda i, u: (u, u), 1.0)": tensord.ArgumentError,
    "x.__setitem__(0, numpy.ones(7))": tensord.ShapeError,
    "broadcast.__setitem__(0, 1)": tensord.Sealed,
    "x.read().__enter__()": tensord.Sealed,
}


def frames_of(problem):
    return traceback.extract_tb(problem.__traceback__)


def n_own(frames):
    return sum(frame.filename.startswith(PACKAGE) for frame in frames)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(client, mistake):
    x = client.put(numpy.arange(6.0).reshape(2, 3))
    names = {"x": x, "client": client, "tensord": tensord, "numpy": numpy,
             "p": tensord.Program(), "broadcast": tensord.broadcast_to(x, (4, 2, 3))}
    with pytest.raises(MISTAKES[mistake]) as caught:
        exec(compile(mistake, "<the user>", "exec"), names)
    frames = frames_of(caught.value)
    at = [frame.filename for frame in frames].index("<the user>")
    assert n_own(frames[at:]) <= 1, "".join(traceback.format_list(frames))
    assert len(frames) - at - n_own(frames[at:]) == 1


def test_the_frame_that_is_shown(client):
    """Is of the function called, at its definition."""
    with pytest.raises(tensord.NotFound) as caught:
        client.open("nothing")
    frame = frames_of(caught.value)[-1]
    lines, first = inspect.getsourcelines(tensord.Client.open)
    assert (frame.name, os.path.basename(frame.filename)) == ("open", "_client.py")
    assert frame.lineno == first and lines[0].startswith("    def open(")


def test_what_the_user_wrote_within_is_shown(client):
    """A function of the user's, called by the package, in which the mistake is."""

    def body(i, u):
        return u + numpy.ones(7)

    with pytest.raises(tensord.ShapeError) as caught:
        tensord.fori_loop(0, 3, body, client.put([1.0, 2.0]))
    frames = frames_of(caught.value)
    at = [frame.name for frame in frames].index("body")
    assert n_own(frames[at:]) <= 1


def test_other_exceptions_are_whole(client):
    def body(i, u):
        raise KeyError(5)

    with pytest.raises(KeyError) as caught:
        tensord.fori_loop(0, 3, body, client.put([1.0, 2.0]))
    assert n_own(frames_of(caught.value)) >= 1 and frames_of(caught.value)[-1].name == "body"


def test_all_of_it(daemon, client):
    code = """
import traceback, tensord
try:
    tensord.open("nothing")
except KeyError as problem:
    print(len(traceback.extract_tb(problem.__traceback__)))
"""
    n_short = int(daemon.python(code))
    daemon_python = "import os; os.environ['TENSORD_TRACEBACK'] = 'full'\n" + code
    assert n_short == 2 < int(daemon.python(daemon_python))


def test_functions_are_what_they_were():
    assert inspect.signature(tensord.Client.open) == inspect.signature(
        tensord.Client.open.__wrapped__
    )
    assert "Returns" in tensord.concat.__doc__ or "Parameters" in tensord.concat.__doc__
    assert tensord.concat.__name__ == "concat"


# ---- one class per thing that a caller would catch ----

BUILTINS = {
    "shape_mismatch": ValueError, "bad_arguments": ValueError, "bad_name": ValueError,
    "name_taken": ValueError, "bad_value": ValueError, "unsupported_dtype": TypeError,
    "dtype_mismatch": TypeError, "memory_limit": MemoryError, "shm_full": MemoryError,
    "quota_exceeded": MemoryError, "client_memory": MemoryError, "not_found": KeyError,
    "deadline_exceeded": TimeoutError, "not_owner": PermissionError,
    "not_creator": PermissionError, "bad_axis": (ValueError, IndexError),
    "index_out_of_range": IndexError, "singular": numpy.linalg.LinAlgError,
    "not_converged": numpy.linalg.LinAlgError, "connection_lost": ConnectionError,
    "no_daemon": ConnectionError, "closed": ConnectionError, "bad_file": ValueError,
    "system": OSError,
}


def test_every_error_is_under_a_builtin():
    for code, _, name, _ in tensord._native.ERRORS:
        problem = tensord._errors.error(code, "message")
        assert type(problem) is getattr(tensord, name)
        assert isinstance(problem, tensord.TensordError)
        assert any(base.__module__ in ("builtins", "numpy.linalg") and base is not Exception
                   for base in type(problem).__mro__[1:-3])
        wanted = BUILTINS.get(code, Exception)
        for builtin in wanted if isinstance(wanted, tuple) else (wanted,):
            assert isinstance(problem, builtin), code
        assert str(problem) == "message"
