"""Summaries of methods for lists, read from their source files, since importing methods would import torch."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .registry import load_class


@dataclass(frozen=True)
class Outline:
    """A method's summary.

    Attributes:
        about: first line of its docstring.
        needs: what it needs of a protocol.
        variants: the description of each variant by name.
    """

    about: str
    needs: frozenset[str]
    variants: dict[str, str]


@cache
def outline(target: str) -> Outline:
    """The summary of "module:Class", which is imported only where its attributes are not literals in its source.

    Raises:
        BadInput: it has to be imported, and that fails.
    """
    module, _, class_name = target.partition(":")
    try:
        specification = importlib.util.find_spec(module)
        source = Path(specification.origin or "").read_bytes() if specification else b""
        return _read(ast.parse(source), class_name)
    except (OSError, LookupError, ValueError, SyntaxError, ImportError):
        return _loaded(target)


def _read(tree: ast.Module, class_name: str) -> Outline:
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    values = {
        name.id: node.value
        for node in found.body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
        for name in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(name, ast.Name)
    }
    about = (ast.get_docstring(found) or "").splitlines()
    return Outline(about[0] if about else "", _set(values["needs"]), _variants(values.get("variants")))


def _set(node: ast.expr) -> frozenset[str]:
    """The value of frozenset({...}) or of a set of literals."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        (node,) = node.args
    return frozenset(ast.literal_eval(node))


def _variants(node: ast.expr | None) -> dict[str, str]:
    """Names and first arguments of MappingProxyType({"name": Variant("about", …), …})."""
    if node is None:
        return {}
    if isinstance(node, ast.Call) and len(node.args) == 1:
        (node,) = node.args
    if not isinstance(node, ast.Dict):
        raise ValueError("variants is not a literal")
    found = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None or not isinstance(value, ast.Call) or not value.args:
            raise ValueError("variants is not a literal")
        found[str(ast.literal_eval(key))] = str(ast.literal_eval(value.args[0]))
    return found


def _loaded(target: str) -> Outline:
    cls = load_class(target)
    about = (cls.__doc__ or "").strip().splitlines()
    variants = {name: variant.about for name, variant in cls.variants.items()}
    return Outline(about[0] if about else "", frozenset(cls.needs), variants)
