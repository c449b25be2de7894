"""The source files of a method, and their digest, which is part of every trial's identity.

These are the method's own file and what it imports, transitively, from `methods/` and `baselines/`, or from the folder
of a user's file. Imports by a name that is only known at run time (`importlib.import_module(...)`) are not followed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..protocols.errors import BadInput

_ROOT = Path(__file__).parents[1]
_PACKAGE = "fernoise_bench"
_SHARED = (_ROOT / "methods", _ROOT / "baselines")
# The interface of methods, which has no maths of its own; RESULT_VERSION is raised when its meaning changes.
_CONTRACT = _ROOT / "methods" / "base.py"


def source_digest(target: str) -> str:
    """First 16 hex digits of the SHA-256 of the syntax trees of a method's files, as they are on disk now.

    Import statements, comments, docstrings, the documented sources of hyper-parameters, and the order and paths of the
    imported files are left out.

    Args:
        target: "module:Class", or "path/to/file.py:Class".

    Raises:
        BadInput, ImportError: the module has no source file, or does not exist.
        OSError, SyntaxError: a file cannot be read, or is not valid Python.
    """
    own, *others = (_code_in(path.read_bytes(), path.name) for path in source_files(target))
    codes = [own, *sorted(set(others) - {_code_in(b"", "")})]
    return hashlib.sha256("\n".join(codes).encode()).hexdigest()[:16]


def file_hashes(target: str) -> list[str]:
    """The SHA-256 of the whole content of each of a method's files, sorted."""
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in source_files(target))


def source_files(target: str) -> tuple[Path, ...]:
    """The source files of a method, its own first, without `methods/base.py`.

    Raises:
        BadInput, ImportError: the module has no source file, or does not exist.
    """
    place = target.rpartition(":")[0]
    own = Path(place) if place.endswith(".py") else _file_of_module(place)
    home = own.parent if place.endswith(".py") else _home_of_module(own, place)
    found: dict[Path, None] = {}
    waiting = [own]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = None
            waiting += _imported(path, home)
    return tuple(path for path in found if path != _CONTRACT)


def _file_of_module(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None:
        raise ModuleNotFoundError(f"No module named '{name}'")
    if not found.origin or not Path(found.origin).is_file():
        raise BadInput(f"{name}: its source file cannot be found; define the method in a .py file")
    return Path(found.origin)


def _home_of_module(own: Path, name: str) -> Path:
    """The folder of the package that a module belongs to, or the module's file where it belongs to none."""
    top, *inside = name.split(".")
    if top == _PACKAGE or not (inside or own.name == "__init__.py"):
        return own
    return own.parents[len(inside) - (own.name != "__init__.py")]


def _imported(path: Path, home: Path) -> Iterator[Path]:
    """The files in `methods/`, `baselines/` and a home folder that a file imports."""
    try:
        names = _names_imported(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # reported where the file is digested or imported
        return
    for level, parts in names:
        places = (path.parents[level - 1],) if level else (_ROOT,) if parts[0] == _PACKAGE else (home, home.parent)
        inside = parts[1:] if not level and parts[0] == _PACKAGE else parts
        for place in places:
            for depth in range(1, len(inside) + 1):
                file = _file_in(place, inside[:depth])
                if file is not None and any(file.is_relative_to(folder) for folder in (*_SHARED, home)):
                    yield file


@functools.lru_cache(maxsize=256)
def _names_imported(content: bytes) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """(level, parts) of each dotted name in a file's import statements that may be a module; level 0 is absolute."""
    found: dict[tuple[int, tuple[str, ...]], None] = {}
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            found |= {(0, tuple(alias.name.split("."))): None for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module.split(".") if node.module else []
            found |= {(node.level, (*module, alias.name)): None for alias in node.names}
    return tuple(name for name in found if name[0] or name[1][0] not in sys.stdlib_module_names)


def _file_in(folder: Path, parts: Sequence[str]) -> Path | None:
    base = folder.joinpath(*parts)
    candidates = (base.parent / f"{base.name}.py", base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@functools.lru_cache(maxsize=256)
def _code_in(content: bytes, name: str) -> str:
    """A file's syntax tree as text that does not depend on the Python version, without what the digest leaves out."""
    tree = ast.parse(content, name)
    originals = _original_names(tree)
    for node in ast.walk(tree):
        for name in ("body", "orelse", "handlers", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                if name == "body" and block and _is_docstring(block[0]):
                    del block[0]
                block[:] = [each for each in block if not isinstance(each, ast.Import | ast.ImportFrom)]
        if isinstance(node, ast.Name):
            node.id = originals.get(node.id, node.id)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sourced":
            del node.args[1:]
    return repr(_plain(tree))


def _original_names(tree: ast.AST) -> dict[str, str]:
    """The original name of each `import … as` alias, since `import a as f` and `import b as f` differ."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return {alias.asname: alias.name for node in imports for alias in node.names if alias.asname}


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _plain(node: Any) -> Any:
    """A syntax tree as nested tuples, without empty fields, which differ between Python versions."""
    if isinstance(node, ast.AST):
        parts = ((name, _plain(value)) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return (type(node).__name__, *parts)
    if isinstance(node, list):
        return tuple(_plain(item) for item in node)
    return node
