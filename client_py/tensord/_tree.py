# SPDX-License-Identifier: MIT
"""Nested tuples, lists and dicts, taken apart and put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator
    from typing import Any, TypeAlias

    #: Kind of a nest, the keys of a dict, the parts; None: a leaf.
    Structure: TypeAlias = "tuple[type[Any], Keys, tuple[Structure, ...]] | None"
    Keys: TypeAlias = tuple[Hashable, ...] | None


def flatten(tree: object) -> tuple[list[Any], Structure]:
    """What a nest holds, and how it is made.

    Parameters
    ----------
    tree : object
        Tuples (named ones too), lists and dicts are looked into, None stays; anything else is a
        leaf.

    Returns
    -------
    leaves : list
    structure : hashable
        For `unflatten`; equal for nests that are made alike.
    """
    leaves: list[Any] = []
    return leaves, _structure(tree, leaves)


def _structure(tree: object, leaves: list[Any]) -> Structure:
    if tree is None:
        return type(None), None, ()
    if type(tree) is dict:
        return dict, tuple(tree), tuple([_structure(x, leaves) for x in tree.values()])
    if isinstance(tree, (tuple, list)):
        return type(tree), None, tuple([_structure(x, leaves) for x in tree])
    leaves.append(tree)
    return None


def unflatten(structure: Structure, leaves: Iterable[object]) -> Any:
    """The nest of that structure with these leaves, an iterable."""
    return _build(structure, iter(leaves))


def _build(structure: Structure, leaves: Iterator[object]) -> Any:
    if structure is None:
        return next(leaves)
    kind, keys, parts = structure
    if kind is type(None):
        return None
    items = [_build(part, leaves) for part in parts]
    if kind is dict:
        return dict(zip(keys or (), items))
    return kind(*items) if hasattr(kind, "_fields") else kind(items)
