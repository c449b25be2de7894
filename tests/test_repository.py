"""Rules of the repository itself: packages, imports, sizes, errors. Its documents: test_documents.py."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from fernoise_bench.protocols.errors import BadInput

ROOT = Path(__file__).parents[1]
PACKAGES = ("protocols", "methods", "baselines", "results", "benchmark")
TOP = "benchmark/root"  # the folder of the package fernoise_bench itself
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = sorted(path for package in (*PACKAGES, "tests") for path in (ROOT / package).rglob("*.py"))
LIBRARY = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in PACKAGES and path.parent != ROOT / TOP]
ROOMS = sorted({path.parent for path in LIBRARY})
CONTRACTS = CONFIGURATION["tool"]["importlinter"]["contracts"]
TREES = {path: ast.parse(path.read_bytes()) for path in SOURCES}
GLOBAL_RANDOMNESS = re.compile(r"^(np|numpy)\.random\.(?!default_rng|Generator)|^random\.|^torch\.manual_seed$")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package_of(folder: Path) -> str:
    """The import name of a folder of the repository."""
    parts = folder.relative_to(ROOT).parts
    return ".".join(("fernoise_bench", *(parts if folder != ROOT / TOP else ())))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(level, module) of every import of a file, level 0 for an absolute one."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def modules_imported(name: str, path: Path) -> Iterator[str]:
    """The import names that a file's relative imports may mean."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *([node.module] if node.module else [])]
            yield ".".join(base)
            yield from (".".join([*base, alias.name]) for alias in node.names)


# --- packages


def test_the_packages_listed_are_the_folders_there_are() -> None:
    """The mapping of folders to fernoise_bench.* is written by hand, since setuptools cannot find it."""
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    setuptools = CONFIGURATION["tool"]["setuptools"]
    assert folders == set(PACKAGES)
    assert sorted(setuptools["packages"]) == sorted(map(package_of, [ROOT / TOP, *ROOMS]))
    assert setuptools["package-dir"] == {package_of(ROOT / folder): folder for folder in (TOP, *PACKAGES)}
    assert not list(ROOT.glob("__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_every_folder_says_what_is_in_it(room: Path) -> None:
    assert (ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "").endswith(".")


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_no_folder_is_crowded(room: Path) -> None:
    """Fifteen modules at most, more where each is a method or a data set; a prefix of four is a folder in disguise."""
    names = [path.stem for path in room.glob("*.py") if path.stem != "__init__"]
    assert len(names) <= 15 or named(room) in ("methods", "baselines", "protocols/readers")
    prefixes = Counter(name.split("_")[0] for name in names)
    assert not {prefix for prefix, count in prefixes.items() if count >= 4}


def test_the_tests_mirror_the_folders() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in SOURCES if path.name.startswith("test_")}
    helpers = {Path(name) for name in (".", "corpus", "cuda", "faults", "mutants")}
    assert {named(ROOT / folder) for folder in folders - helpers} <= {named(room) for room in ROOMS}


@pytest.mark.parametrize("package", [TOP, *PACKAGES])
def test_every_package_is_marked_as_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    assert CONFIGURATION["tool"]["setuptools"]["package-data"]["*"] == ["py.typed"]


# --- imports


def test_packages_are_imported_relatively_inside_and_as_fernoise_bench_outside() -> None:
    """`import methods` would load a second copy of a module, with classes of its own."""
    wrong = {}
    for path in SOURCES:
        inside = path in LIBRARY
        for level, module in imported(path):
            first = module.split(".")[0]
            if level == 0 and (first in PACKAGES or (inside and first == "fernoise_bench")):
                wrong[named(path)] = module
    assert not wrong


def test_click_is_for_the_command_line_alone() -> None:
    users = {named(path) for path in LIBRARY if any(module.split(".")[0] == "click" for _, module in imported(path))}
    assert users
    assert all(user.startswith("benchmark/cli/") for user in users)


def test_lower_layers_import_no_higher_one() -> None:
    """protocols, methods, baselines, results, benchmark: each may use what stands before it."""
    wrong = {}
    for path in LIBRARY:
        inside = path.relative_to(ROOT).parts
        higher = PACKAGES[PACKAGES.index(inside[0]) + 1 :]
        for level, module in imported(path):
            if level == len(inside) and module.split(".")[0] in higher:
                wrong[named(path)] = module
    assert not wrong


def test_the_layers_are_checked_by_import_linter() -> None:
    contract, *_ = CONTRACTS
    assert contract["type"] == "layers"
    assert contract["layers"] == [f"fernoise_bench.{package}" for package in reversed(PACKAGES)]


@pytest.mark.parametrize("package", ["protocols", "results", "benchmark"])
def test_every_room_and_file_of_a_package_has_its_layer(package: str) -> None:
    (contract,) = (one for one in CONTRACTS if one.get("containers") == [f"fernoise_bench.{package}"])
    listed = {name.strip("() ") for layer in contract["layers"] for name in re.split(r"[|:]", layer)}
    entries = {
        path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert listed == entries - {"__init__"}
    assert contract["exhaustive"]


def test_no_two_files_import_each_other() -> None:
    """Nor in a longer circle."""
    files = {package_of(path.with_suffix("")).removesuffix(".__init__"): path for path in LIBRARY}
    graph = {name: set(modules_imported(name, path)) & set(files) - {name} for name, path in files.items()}
    assert list(TopologicalSorter(graph).static_order())


def test_the_root_has_names_alone() -> None:
    """A module there would stand beside the packages in every user's `fernoise_bench`."""
    assert {path.name for path in (ROOT / TOP).glob("*.py")} == {"__init__.py", "__main__.py"}
    assert {name for _, name in imported(ROOT / TOP / "__init__.py")} <= {
        *("__future__", "importlib", "importlib.metadata", "typing", "protocols.errors", "benchmark.models.model"),
        *(f"benchmark.api.{path.stem}" for path in (ROOT / "benchmark" / "api").glob("*.py")),
    }


def test_help_needs_no_torch() -> None:
    """Nor NumPy nor timm: a command imports what it needs when it runs."""
    script = (
        "import sys\nfrom fernoise_bench.benchmark.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'timm', 'numpy', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


# --- sizes


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {named(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {name: length for name, length in lengths.items() if length > 400}


def test_no_function_is_longer_than_50_lines() -> None:
    lengths = {
        f"{named(path)}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not {name: length for name, length in lengths.items() if length > 50}


def test_the_global_generators_are_not_used() -> None:
    """Randomness comes from a seed or a generator that is passed in; construction has a scope of its own."""
    wrong = {}
    for path in LIBRARY:
        scoped = named(path) in ("benchmark/random_streams.py", "benchmark/networks/encoders.py")
        for node in ast.walk(TREES[path]):
            call = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if GLOBAL_RANDOMNESS.search(call) and not (scoped and call == "torch.manual_seed"):
                wrong[named(path)] = call
    assert not wrong


# --- errors


def test_every_error_a_user_can_put_right_is_one_kind() -> None:
    """The command line catches BadInput, and what the system refuses, and nothing wider, so bugs keep their traces."""
    assert issubclass(BadInput, ValueError)
    caught = [
        ast.unparse(node.type)
        for node in ast.walk(TREES[ROOT / "benchmark" / "cli" / "app.py"])
        if isinstance(node, ast.ExceptHandler) and node.type is not None
    ]
    assert set(caught) == {"BadInput", "KeyboardInterrupt", "OSError"}
