"""Values of constant expressions in source files, which are not executed for them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

_WRAPPERS = ("frozenset", "MappingProxyType")  # of one argument, whose value counts


def constants_of(body: list[ast.stmt]) -> dict[str, Any]:
    """The names that a module or a class assigns constants to, with these; other assignments are left out."""
    found: dict[str, Any] = {}
    for name, node in assigned(body).items():
        try:
            found[name] = constant(node, found)
        except ValueError:
            continue
    return found


def assigned(body: list[ast.stmt]) -> dict[str, ast.expr]:
    """The names that a module or a class assigns to, with their expressions, in order."""
    found: dict[str, ast.expr] = {}
    for node in body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                found |= _named(target, node.value)
    return found


def _named(target: ast.expr, value: ast.expr) -> dict[str, ast.expr]:
    """What `target = value` assigns, as in `a, b = 1, 2`; nothing where that is not to be seen."""
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = zip(target.elts, value.elts, strict=True)
        return {name: node for left, right in pairs for name, node in _named(left, right).items()}
    return {}


def constant(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of literals, of names that are known, and of texts, sets and mappings made of them.

    Args:
        node: the expression.
        names: the known names with their values.

    Raises:
        ValueError: another expression.
    """
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _WRAPPERS:
        (inner,) = node.args or [ast.Tuple([])]
        found = constant(inner, names)
        return frozenset(found) if node.func.id == "frozenset" else found
    if isinstance(node, ast.Tuple):
        return tuple(constant(item, names) for item in node.elts)
    if isinstance(node, ast.Set):
        return {constant(item, names) for item in node.elts}
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, names) for part in node.values)
    if isinstance(node, ast.Dict):
        merged: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            merged |= constant(value, names) if key is None else {constant(key, names): constant(value, names)}
        return merged
    return ast.literal_eval(node)


def _text(part: ast.expr, names: Mapping[str, Any]) -> str:
    if not isinstance(part, ast.FormattedValue):
        return str(constant(part, names))
    if part.conversion != -1 or part.format_spec is not None:
        raise ValueError("a text with a format is no constant")
    return str(constant(part.value, names))
