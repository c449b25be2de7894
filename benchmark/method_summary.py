"""Summaries of methods for lists and cards, read from their source files: importing methods would import torch."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from .registry import METHODS, find, load_class

# that the source is not of the plain form, as in a user's file
_NOT_PLAIN = (OSError, LookupError, ValueError, TypeError, SyntaxError, ImportError)
_WRAPPERS = ("frozenset", "MappingProxyType")  # of one argument, whose value counts


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


@dataclass(frozen=True)
class Description:
    """A method or a variant in full.

    Attributes:
        name: as in the records.
        base: the name without the variant.
        needs: what it needs of a protocol, with the variant's changes.
        about: its docstring.
        parameters: name, value with the variant's changes, and source of each hyper-parameter.
        strong: whether one of its views is a strong one.
    """

    name: str
    base: str
    needs: frozenset[str]
    about: str
    parameters: tuple[tuple[str, Any, str], ...]
    strong: bool = False


@cache
def outline(target: str) -> Outline:
    """The summary of "module:Class", which is imported only where its attributes are not literals in its source.

    Raises:
        BadInput: it has to be imported, and that fails.
    """
    module, _, class_name = target.partition(":")
    try:
        return _outline(_class_in(_tree(module), class_name))
    except _NOT_PLAIN:
        return _loaded(target)


def describe(name: str) -> Description:
    """The method or variant of a name, or of a file; methods of this package are not imported.

    Raises:
        BadInput: as `registry.find`.
    """
    typed, _, variant = name.partition(":")
    base = typed.replace("-", "_")
    if base in METHODS:
        module, _, class_name = METHODS[base].partition(":")
        try:
            return _description(base, variant, _tree(module), class_name)
        except _NOT_PLAIN:
            pass  # an unknown variant too, which the registry names
    method = find(name)
    params = method.params
    parameters = tuple((f.name, getattr(params, f.name), f.metadata.get("source", "unstated")) for f in fields(params))
    cls = method.load()
    return Description(
        method.name, method.base, method.needs, (cls.__doc__ or "").strip(), parameters, _is_strong(cls.views)
    )


def _tree(module: str) -> ast.Module:
    specification = importlib.util.find_spec(module)
    return ast.parse(Path(specification.origin or "").read_bytes() if specification else b"")


def _class_in(tree: ast.Module, name: str) -> ast.ClassDef:
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return found


def _outline(found: ast.ClassDef) -> Outline:
    values = assigned(found.body)
    about = (ast.get_docstring(found) or "").splitlines()
    variants = {name: str(constant(call.args[0], {})) for name, call in _variants(values.get("variants")).items()}
    return Outline(about[0] if about else "", frozenset(constant(values["needs"], {})), variants)


def _description(base: str, variant: str, tree: ast.Module, class_name: str) -> Description:
    """The method as its source has it; one of _NOT_PLAIN where that has to be executed, or has no such variant."""
    found, known = _class_in(tree, class_name), constants_of(tree.body)
    values = assigned(found.body)
    needs = frozenset(constant(values["needs"], known))
    changes: dict[str, Any] = {}
    if variant:
        call = _variants(values.get("variants"))[variant]
        given = dict(zip(("about", "params", "needs", "without"), call.args, strict=False))
        given |= {word.arg: word.value for word in call.keywords if word.arg}
        changes, more, less = (constant(given[each], known) if each in given else {} for each in _CHANGES)
        needs = (needs - frozenset(less)) | frozenset(more)
    parameters = tuple(
        (name, changes.get(name, value), source) for name, value, source in _parameters(tree, values.get("Params"))
    )
    about = (ast.get_docstring(found, clean=False) or "").strip()
    strong = _is_strong(_views(found, known, parameters))
    return Description(f"{base}:{variant}" if variant else base, base, needs, about, parameters, strong)


def _views(found: ast.ClassDef, known: Mapping[str, Any], parameters: Iterable[tuple[str, Any, str]]) -> Any:
    """The views that a method asks for with these parameters: what `__init__` sets them to, else those of its class."""
    params = {f"params.{name}": value for name, value, _ in parameters}
    for node in found.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            for line in node.body:
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "self.views":
                    return constant(line.value, {**known, **params})
    values = assigned(found.body)
    return constant(values["views"], known) if "views" in values else 1


def _is_strong(views: Any) -> bool:
    return isinstance(views, tuple) and "strong" in views


_CHANGES = ("params", "needs", "without")


def _parameters(tree: ast.Module, node: ast.expr | None) -> list[tuple[str, Any, str]]:
    """Name, value and source of each `name: type = sourced(value, source)` of the class that a method's Params is."""
    if node is None or (isinstance(node, ast.Name) and node.id == "NoParams"):
        return []
    if not isinstance(node, ast.Name):
        raise ValueError("Params is not the name of a class")
    found = _class_in(tree, node.id)
    if found.bases or any(isinstance(each, ast.FunctionDef) for each in found.body):
        raise ValueError("Params inherits or computes")
    known, parameters = constants_of(tree.body), []
    for name, call in assigned(found.body).items():
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "sourced"):
            raise ValueError(f"{name} is not sourced(...)")
        value, source = (constant(each, known) for each in call.args)
        parameters.append((name, value, str(source)))
    return parameters


def _variants(node: ast.expr | None) -> dict[str, ast.Call]:
    """Names and calls of MappingProxyType({"name": Variant("about", …), …})."""
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
        found[str(ast.literal_eval(key))] = value
    return found


def _loaded(target: str) -> Outline:
    cls = load_class(target)
    about = (cls.__doc__ or "").strip().splitlines()
    variants = {name: variant.about for name, variant in cls.variants.items()}
    return Outline(about[0] if about else "", frozenset(cls.needs), variants)


# --- constant expressions, which are not executed for their values


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
    """The value of literals, of names that are known, of texts, sets and mappings made of them, and of `a if b else c`.

    Args:
        node: the expression.
        names: the known names with their values; one may be dotted, as in "params.weight".

    Raises:
        ValueError: another expression.
    """
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.Attribute) and ast.unparse(node) in names:
        return names[ast.unparse(node)]
    if isinstance(node, ast.IfExp):
        return constant(node.body if constant(node.test, names) else node.orelse, names)
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
