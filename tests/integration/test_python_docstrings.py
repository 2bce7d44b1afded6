# SPDX-License-Identifier: MIT
"""The examples of the docstrings do what they say, and everything public has a docstring."""

import doctest
import importlib.util
import inspect
import pkgutil
import re
import tempfile

import kit
import pytest

import tensord

MODULES = sorted(
    info.name for info in pkgutil.iter_modules(tensord.__path__) if info.name != "_native"
)


@pytest.fixture(scope="module")
def daemon(make_daemon, tmp_path_factory):
    """One with the kernel that is called."""
    kernels = kit.copy_kernels(tmp_path_factory.mktemp("kernels"), kit.BUILD / "kernels")
    return make_daemon("--kernel-dir", str(kernels))


def not_installed(test):
    """The libraries that an example imports, but which are not here; the wheel's suite has all."""
    for example in test.examples:
        for names in re.findall("^import (.*)", example.source):
            for name in names.split(", "):
                if importlib.util.find_spec(name) is None:
                    yield name


class Finder(doctest.DocTestFinder):
    """Finds also what a module gives to the classes of others."""

    def find(self, module):
        found = {test.docstring: test for test in super().find(module)}
        for kind in (tensord.Array, tensord._operators.Operators, tensord.Client, tensord.Unsealed):
            for name, thing in vars(kind).items():
                function = thing.fget if isinstance(thing, property) else thing
                if getattr(function, "__globals__", None) is vars(module) and thing.__doc__:
                    for test in super().find(thing, f"{kind.__name__}.{name}", module):
                        found.setdefault(test.docstring, test)
        return list(found.values())


@pytest.mark.parametrize("name", ["__init__", *MODULES])
def test_examples(daemon, monkeypatch, tmp_path, name):
    module = tensord if name == "__init__" else importlib.import_module(f"tensord.{name}")
    monkeypatch.setenv("TENSORD_SOCKET", daemon.socket)
    monkeypatch.setattr(tensord._default, "_default", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # pytest removes what examples write
    runner, missing = doctest.DocTestRunner(), set()
    try:
        for test in Finder().find(module):
            left_out = set(not_installed(test))
            missing |= left_out
            if not left_out:
                runner.run(test)
    finally:
        if tensord._default._default is not None:
            tensord._default._default.close()
    assert runner.failures == 0
    if missing:
        pytest.skip(f"examples need {', '.join(sorted(missing))}")


def test_there_are_examples():
    modules = [tensord, *(importlib.import_module(f"tensord.{name}") for name in MODULES)]
    tests = [test for module in modules for test in Finder().find(module)]
    assert sum(len(test.examples) for test in tests) > 8
    found = {test.docstring for test in tests}
    for name, thing in public_things():
        assert ">>> " not in (thing.__doc__ or "") or thing.__doc__ in found, name


def public_things():
    for name in dir(tensord):
        thing = getattr(tensord, name)
        if name.startswith("_") or inspect.ismodule(thing) or not callable(thing):
            continue
        yield name, thing
        if inspect.isclass(thing) and not issubclass(thing, (Exception, tuple)):
            for member, value in vars(thing).items():
                if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                    yield f"{name}.{member}", value


def test_everything_public_has_a_docstring():
    assert [name for name, thing in public_things() if not inspect.getdoc(thing)] == []
