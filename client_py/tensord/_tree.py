# SPDX-License-Identifier: MIT
"""Nested tuples, lists and dicts, taken apart and put together."""


def flatten(tree):
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
    leaves = []
    return leaves, _structure(tree, leaves)


def _structure(tree, leaves):
    if tree is None:
        return type(None), None, ()
    if type(tree) is dict:
        return dict, tuple(tree), tuple([_structure(x, leaves) for x in tree.values()])
    if isinstance(tree, (tuple, list)):
        return type(tree), None, tuple([_structure(x, leaves) for x in tree])
    leaves.append(tree)
    return None


def unflatten(structure, leaves):
    """The nest of that structure with these leaves, an iterable."""
    return _build(structure, iter(leaves))


def _build(structure, leaves):
    if structure is None:
        return next(leaves)
    kind, keys, parts = structure
    if kind is type(None):
        return None
    items = [_build(part, leaves) for part in parts]
    if kind is dict:
        return dict(zip(keys, items))
    return kind(*items) if hasattr(kind, "_fields") else kind(items)
