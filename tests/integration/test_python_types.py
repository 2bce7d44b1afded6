# SPDX-License-Identifier: MIT
"""Type hints: what stands in stubs, or under TYPE_CHECKING, is what there is.

Whether hints agree with one another and with the code, mypy says (tests/tidy/run).
"""

import ast
import inspect
import types
from pathlib import Path

import tensord
from tensord import _data_types, _default, _native, _numpy_names

HERE = Path(tensord.__file__).parent


def parsed(name):
    return ast.parse((HERE / name).read_text()).body


def targets_of(body):
    """What is assigned, or declared."""
    for node in body:
        if isinstance(node, ast.ImportFrom):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (x.id for x in ast.walk(target) if isinstance(x, ast.Name))


def checked(body):
    """The part of a body that type checkers alone see, the last such."""
    found = [node for node in body if isinstance(node, ast.If)]
    return next(x.body for x in reversed(found) if ast.unparse(x.test) == "TYPE_CHECKING")


def names_of_stub(body):
    """name -> the names in it if it is a class, else None"""
    names = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            names[node.name] = names_of_stub(node.body)
        elif isinstance(node, ast.FunctionDef):
            names[node.name] = None
        elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) != "TypeAlias":
            names[node.target.id] = None
    return names


def names_of_class(owner):
    descriptors = (types.MethodDescriptorType, types.MemberDescriptorType)
    descriptors += (types.GetSetDescriptorType,)
    return {name for name, value in vars(owner).items() if isinstance(value, descriptors)}


def test_stub_and_extension_agree():
    stub = names_of_stub(parsed("_native.pyi"))
    own = {name: value for name, value in vars(_native).items() if not name.startswith("__")}
    assert stub.keys() == own.keys()
    for name, members in stub.items():
        assert isinstance(own[name], type) == (members is not None), name
        if members is not None:
            assert set(members) - {"__init__"} == names_of_class(own[name]), name


def test_array_has_what_modules_give_it():
    (given,) = (node for node in parsed("_given.pyi") if isinstance(node, ast.ClassDef))
    methods = {node.name for node in given.body if isinstance(node, ast.FunctionDef)}
    rest = [node for node in given.body if isinstance(node, (ast.Assign, ast.AnnAssign))]
    names = methods | set(targets_of(rest))
    assert len(names) > 40 and [name for name in names if not hasattr(tensord.Array, name)] == []
    own = {name for base in tensord.Array.__mro__[1:] for name in vars(base)}
    own |= names_of_stub(parsed("_array.py"))["Array"].keys()
    public = {name for name in vars(tensord.Array) if name[0] != "_"}
    assert public - own - names == {"node"}


def test_functions_of_the_default_client_are_declared():
    functions, dtypes = _default.FUNCTIONS.keys(), _data_types.BY_NAME.keys()
    assert set(targets_of(checked(parsed("__init__.py")))) - {"_client"} == functions | dtypes
    body = parsed("aio.py")
    assert set(targets_of(checked(body))) - {"_client"} == functions
    (client,) = (node for node in body if isinstance(node, ast.ClassDef) and node.name == "Client")
    assert set(targets_of(checked(client.body))) == functions


def parameters_of(node):
    of = node.args
    given = [*of.posonlyargs, *of.args, of.vararg, *of.kwonlyargs]
    return [one.arg for one in given if one]


def test_functions_of_numpy_are_declared():
    stub = [node for node in parsed("_given_numpy.pyi") if isinstance(node, ast.FunctionDef)]
    functions = {path.rpartition(".")[2]: function
                 for path, function in _numpy_names.FUNCTIONS.items()}
    assert len(stub) > 100
    assert {node.name: parameters_of(node) for node in stub} == {
        name: list(inspect.signature(function).parameters) for name, function in functions.items()
    }
    (imported,) = (node for node in checked(parsed("__init__.py"))
                   if isinstance(node, ast.ImportFrom))
    assert {one.name for one in imported.names} == _numpy_names.functions_of("").keys()


def test_all_is_what_there_is():
    modules = "aio fft linalg random".split()
    public = {name for name in vars(tensord) if name[0] != "_"} - {"annotations", "TYPE_CHECKING"}
    assert public == {*tensord.__all__, "open", "list"} - {
        "__array_api_version__", "__array_namespace_info__"
    }
    assert set(modules) <= set(tensord.__all__)


def test_hints_are_marked():
    assert (HERE / "py.typed").exists()
