# SPDX-License-Identifier: MIT
"""Docstrings name the parameters that there are, and no others.

A docstring has a section "Parameters", or sends the reader to public functions (in backquotes) that
have one with these names; or to a function of numpy's, where it passes on what it gets.
"""

import builtins
import inspect
import re

import pytest

import tensord

pytestmark = pytest.mark.plain

MODULES = {"": tensord, "linalg.": tensord.linalg, "fft.": tensord.fft,
           "random.": tensord.random, "aio.": tensord.aio}


def members(prefix, kind):
    for name in dir(kind):
        thing = inspect.getattr_static(kind, name)
        if not name.startswith("_") and inspect.isfunction(thing):
            yield f"{prefix}{name}", thing


def functions():
    for prefix, module in MODULES.items():
        for name in getattr(module, "__all__", None) or dir(module):
            thing = getattr(module, name)
            if name.startswith("_") or inspect.ismodule(thing) or not callable(thing):
                continue
            if not inspect.isclass(thing):
                yield prefix + name, thing
            elif not issubclass(thing, (Exception, tuple)):
                yield from members(f"{prefix}{name}.", thing)


def parameters(thing):
    names = list(inspect.signature(thing).parameters)
    return [name for name in names if name != "self"]


def section_of(thing, title):
    """The text of one section of a docstring."""
    doc = inspect.getdoc(thing) or ""
    section = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-{{3,}}$|\Z)", doc, re.S | re.M)
    return section[1] if section else ""


def documented(thing):
    """The names in the section "Parameters"."""
    names = []
    for line in section_of(thing, "Parameters").splitlines():
        if line and not line[0].isspace():
            names += [name.strip().lstrip("*") for name in line.split(" : ")[0].split(",")]
    return names


def referred(name, thing):
    """The functions that a docstring names."""
    module = MODULES.get(name.rpartition(".")[0] + ".", tensord)
    for path in re.findall(r"(?<!`)`([\w.]+)`", inspect.getdoc(thing) or ""):
        for root in (inspect.getmodule(thing), module, tensord, tensord.Array):
            found = root
            for part in path.removeprefix("tensord.").split("."):
                found = getattr(found, part, None)
            if found is not None and found is not thing and callable(found):
                yield found


def undocumented(name, thing, depth=3):
    missing = set(parameters(thing)) - set(documented(thing))
    if missing <= {"args", "options"} and "``numpy." in (inspect.getdoc(thing) or ""):
        return set()
    for other in referred(name, thing) if missing and depth else ():
        known = set(documented(other))
        if not known and not inspect.isclass(other):
            known = set(parameters(other)) - undocumented(name, other, depth - 1)
        missing -= known | {"args", "keywords"}
    return missing


FUNCTIONS = dict(functions())


def test_all_are_looked_at():
    assert len(FUNCTIONS) > 300
    for name in ("add", "linalg.svd", "fft.rfft", "random.normal", "Array.sum", "Client.put",
                 "aio.eval"):
        assert name in FUNCTIONS


def test_what_is_wrong_is_found():
    def function(x, y):
        """Something; see `add`.

        Parameters
        ----------
        x, z : int
            Of all kinds: any.
        """

    assert documented(function) == ["x", "z"] and undocumented("function", function) == {"y"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters(name):
    thing = FUNCTIONS[name]
    assert set(documented(thing)) <= set(parameters(thing)), "documents what there is not"
    assert undocumented(name, thing) == set(), "are not documented"


# ---- what comes back, and an example ----

#: modules whose functions all have both; the examples are run by test_python_docstrings
SHOWN = {f"tensord.{name}" for name in
         ("_array", "_assignment", "_client", "_columns", "_conversion", "_creation",
          "_creation_numpy", "_csv",
          "_data_types", "_default", "_einsum", "_elementwise", "_files", "_following",
          "_functions", "_jit", "_json", "_loops", "_manipulation", "_matrices", "_methods",
          "_norms", "_numpy_names", "_operators", "_products", "_program", "_progress",
          "_protocols",
          "_questions", "_searching", "_selection", "_sets", "_sharing", "_sorting",
          "_statistical", "_unsealed", "aio", "fft", "linalg", "random")}
#: what needs no words: those of Python's own protocols that say of themselves what they do
UNSHOWN = """__array__ __bool__ __complex__ __enter__ __exit__ __float__ __index__ __init__ __int__
    __del__ __reduce__ __repr__""".split()


def operators():
    """The methods with two underscores of arrays and values."""
    for kind in (tensord._operators.Operators, tensord.Array):
        for name, thing in vars(kind).items():
            if name.startswith("__") and inspect.isfunction(thing) and name not in UNSHOWN:
                if thing.__globals__["__name__"] in SHOWN:
                    yield f"{kind.__name__}.{name}", thing


ALL = {**FUNCTIONS, **dict(operators())}


def shown():
    for name, thing in ALL.items():
        if inspect.unwrap(thing).__globals__["__name__"] in SHOWN:
            yield name


def test_modules_with_examples():
    found = {inspect.unwrap(ALL[name]).__globals__["__name__"] for name in shown()}
    assert found == SHOWN


@pytest.mark.parametrize("name", list(shown()))
def test_results_and_examples(name):
    thing = ALL[name]
    doc = inspect.getdoc(thing)
    if inspect.signature(thing).return_annotation != "None":
        assert re.search(r"^(Returns\n-------|Yields\n------)$", doc, re.M)
    assert re.search(r"^Examples\n--------\n(.*\n)*?>>> ", doc, re.M)


FORMS = {"client.": tensord.Client, "tensord.": tensord,
         "await client.": tensord.aio.Client, "await tensord.aio.": tensord.aio}


@pytest.mark.parametrize("verb", tensord._default.FUNCTIONS)
def test_examples_are_of_the_form(verb):
    for form, there in FORMS.items():
        examples = inspect.getdoc(getattr(there, verb)).partition("\nExamples\n")[2]
        calls = set(re.findall(rf"((?:await )?[\w.]+\.){verb}\(", examples)) - {"asyncio."}
        assert calls == {form}


# ---- what is raised ----


def refusals(thing):
    """The names in the section "Raises", where "..." stands for others."""
    section = section_of(thing, "Raises")
    lines = [line for line in section.splitlines() if line and not line[0].isspace()]
    names = [name.strip() for line in lines for name in line.split(",")]
    return [name for name in names if name != "..."]


def is_exception(name):
    kind = getattr(tensord, name, None) or getattr(builtins, name, None)
    return inspect.isclass(kind) and issubclass(kind, BaseException)


def test_raises():
    """What a docstring says it raises is an exception of tensord's or Python's."""
    named = {name: refusals(thing) for name, thing in ALL.items()}
    assert sum(map(bool, named.values())) > 100
    assert {name: bad for name, kinds in named.items()
            if (bad := [kind for kind in kinds if not is_exception(kind)])} == {}
