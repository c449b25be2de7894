"""What the sources never do: run, unpickle or unpack what comes from outside; SECURITY.md says the same in words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .weekly import often

ROOT = Path(__file__).parents[1]
PACKAGES = ("protocols", "methods", "baselines", "results", "benchmark")
TREES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_bytes())
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
# Loading code by name or by file is the registry's business; the others name a module that is written there.
LOADERS = {
    "benchmark/registry.py",
    "protocols/datasets/catalog.py",
    "protocols/images/video.py",
    "protocols/images/landmarks.py",
    "benchmark/engines/remote.py",
    "results/page/html.py",
}
FORBIDDEN_MODULES = {
    "pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "lxml", "pty", "tarfile",
    "code", "codeop", "telnetlib", "ftplib", "requests", "urllib.request", "http.server",
}  # fmt: skip
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp", "torch.hub.load",
    "torch.jit.load", "torch.package.PackageImporter", "np.fromfile", "np.frompyfunc", "pandas.read_pickle",
    "pd.read_pickle", "shutil.unpack_archive", "runpy.run_path", "runpy.run_module",
}  # fmt: skip


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """(file, call, what is called) of every call in the packages."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield f"{name}:{node.lineno}", node, ast.unparse(node.func)


def keyword(call: ast.Call, name: str) -> object:
    """The constant a keyword argument is given, or None."""
    return next(
        (word.value.value for word in call.keywords if word.arg == name and isinstance(word.value, ast.Constant)), None
    )


def test_nothing_is_imported_that_runs_what_it_reads() -> None:
    found = []
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            found += [f"{name}: {module}" for module in modules if {module, module.split(".")[0]} & FORBIDDEN_MODULES]
    assert not found


EXPORTED = ("benchmark/models/export.py", "torch.jit.load")  # of what it has just written itself


def test_nothing_is_evaluated() -> None:
    found = [(place.partition(":")[0], what) for place, _, what in calls() if what in FORBIDDEN_CALLS]
    assert [each for each in found if each != EXPORTED] == []
    assert not [(place, what) for place, _, what in calls() if what.startswith(("os.exec", "os.spawn"))]
    parsers = (
        "fromstring",
        "iterparse",
        "XMLParser",
        "ElementTree.parse",
        "ET.parse",
    )
    assert not [
        (place, what) for place, _, what in calls() if what.endswith(parsers) and what != "np.fromstring"
    ]  # of numbers as text


def test_no_shell() -> None:
    """Processes, where there are any, get a list of words."""
    assert not [place for place, call, _ in calls() if any(word.arg == "shell" for word in call.keywords)]
    processes = [(place, call) for place, call, what in calls() if what.startswith("subprocess.") and call.args]
    assert not [place for place, call in processes if isinstance(call.args[0], (ast.Constant, ast.JoinedStr))]


def test_checkpoints_are_read_as_weights_alone() -> None:
    loads = [(place, call) for place, call, what in calls() if what == "torch.load"]
    assert loads
    assert not [place for place, call in loads if keyword(call, "weights_only") is not True]


def test_arrays_are_read_without_objects() -> None:
    readers = {"np.load", "np.lib.format.read_array", "numpy.load"}
    loads = [(place, call) for place, call, what in calls() if what in readers]
    assert len(loads) >= 3
    assert not [place for place, call in loads if keyword(call, "allow_pickle") is not False]


def test_archives_are_never_unpacked_by_their_own_names() -> None:
    unpackers = ("extractall", "extract", "unpack_archive")
    assert not [place for place, _, what in calls() if what.rpartition(".")[2] in unpackers]


def test_modules_are_loaded_by_name_in_known_places_alone() -> None:
    loaders = ("importlib.import_module", "import_module", "spec_from_file_location", "exec_module")
    found = {
        place.partition(":")[0]
        for place, _, what in calls()
        if what in loaders or what.endswith((loaders[2], loaders[3]))
    }
    assert "benchmark/registry.py" in found
    assert found <= LOADERS


BAD_LINES = (
    "torch.load(path)",
    "np.load(path)",
    "eval('1')",
    "subprocess.run('ls', shell=True)",
    "archive.extractall()",
    "import pickle",
)


@pytest.mark.parametrize("text", often(BAD_LINES, 2))
def test_these_tests_can_fail(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of forbidden line is found by one of them."""
    monkeypatch.setitem(TREES, "benchmark/bad.py", ast.parse(text))
    tests = (
        test_nothing_is_imported_that_runs_what_it_reads,
        test_nothing_is_evaluated,
        test_no_shell,
        test_checkpoints_are_read_as_weights_alone,
        test_arrays_are_read_without_objects,
        test_archives_are_never_unpacked_by_their_own_names,
    )
    failed = 0
    for test in tests:
        try:
            test()
        except AssertionError:
            failed += 1
    assert failed == 1


def test_what_the_document_promises_is_there() -> None:
    document = (ROOT / "SECURITY.md").read_text()
    for word in ("weights_only=True", "allow_pickle=False", "safetensors", "firewall", "method file", "--method"):
        assert word in document
