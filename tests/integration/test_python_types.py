# SPDX-License-Identifier: MIT
"""Type hints: the extension's stub speaks of what the extension has, and of no more."""

import ast
import types
from pathlib import Path

import tensord
from tensord import _native

STUB = Path(tensord.__file__).with_name("_native.pyi")


def names_of_stub(body):
    """name -> the names in it if it is a class, else None"""
    names = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            names[node.name] = names_of_stub(node.body)
        elif isinstance(node, ast.FunctionDef):
            names[node.name] = None
        elif isinstance(node, ast.AnnAssign):
            names[node.target.id] = None
    return names


def names_of_class(owner):
    descriptors = (types.MethodDescriptorType, types.MemberDescriptorType)
    descriptors += (types.GetSetDescriptorType,)
    return {name for name, value in vars(owner).items() if isinstance(value, descriptors)}


def test_stub_and_extension_agree():
    stub = names_of_stub(ast.parse(STUB.read_text()).body)
    own = {name: value for name, value in vars(_native).items() if not name.startswith("__")}
    assert stub.keys() == own.keys()
    for name, members in stub.items():
        assert isinstance(own[name], type) == (members is not None), name
        if members is not None:
            assert set(members) == names_of_class(own[name]), name


def test_hints_are_marked():
    assert STUB.with_name("py.typed").exists()
