# SPDX-License-Identifier: MIT
"""The examples of the docstrings do what they say, and everything public has a docstring."""

import doctest
import importlib
import inspect
import pkgutil
import tempfile

import pytest

import tensord

MODULES = sorted(
    info.name for info in pkgutil.iter_modules(tensord.__path__) if info.name != "_native"
)


@pytest.mark.parametrize("name", ["__init__", *MODULES])
def test_examples(daemon, monkeypatch, tmp_path, name):
    module = tensord if name == "__init__" else importlib.import_module(f"tensord.{name}")
    monkeypatch.setenv("TENSORD_SOCKET", daemon.socket)
    monkeypatch.setattr(tensord._default, "_default", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # pytest removes what examples write
    try:
        assert doctest.testmod(module).failed == 0
    finally:
        if tensord._default._default is not None:
            tensord._default._default.close()


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    modules = [tensord, *(importlib.import_module(f"tensord.{name}") for name in MODULES)]
    assert sum(len(test.examples) for module in modules for test in finder.find(module)) > 8


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
