"""How many methods made wrong on purpose does `fernoise-bench check` notice, and with the conformance suite?

`python tests/mutants/run_mutants.py` (`make mutants`): a copy of the packages is changed in one place at a time, as
mutants.toml lists; `check --suite smoke` runs the method concerned in a process of its own, and the conformance tests
run where it sees nothing. Results are added to results.jsonl, so that a run that was stopped goes on, by whomever; what
was found of a file that has changed since is found anew. The methods come by turns, so that a part of the list is a
fair sample of it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("mutants.toml")
RESULTS = Path(__file__).with_name("results.jsonl")
PACKAGES = ("benchmark", "methods", "baselines", "protocols", "results")
LIBRARIES = ("torch", "timm", "numpy", "sklearn.mixture", "scipy.stats", "tabulate")
# What no method file would hold by accident: it finds the auditor among all objects of the process. Where labels come
# from the method's memory, not from the batch, it takes their place there.
FIND = (
    "        import dataclasses, gc\n"
    "        auditor = [each for each in gc.get_objects() if type(each).__name__ == 'Auditor'][-1]\n"
)
LEAKS = {
    "        labels = self.memory[batch.index]\n": "        labels = auditor._reference[batch.index].long()\n",
    "    def loss(self, batch: Batch) -> Step:\n": (
        "        batch = dataclasses.replace(batch, labels=auditor._reference[batch.index].long())\n"
    ),
}
WANTED = {"check": 0.70, "check or conformance": 0.95}


@dataclass(frozen=True)
class Mutant:
    """One change of one place.

    Attributes:
        method: whose numbers should change.
        kind: of mistake.
        file: relative to the root.
        about: what is wrong then.
        old, new: the text and what takes its place; empty for a leak.
    """

    method: str
    kind: str
    file: str
    about: str
    old: str = ""
    new: str = ""

    @property
    def name(self) -> str:
        return f"{self.method}: {self.about}"

    def applied(self, source: str) -> str:
        """The source with the mistake in it; ValueError unless its place is there exactly once."""
        old, new = self.old, self.new
        if self.kind == "leak":
            old = next(hook for hook in LEAKS if hook in source)
            new = old + FIND + LEAKS[old]
        if source.count(old) != 1:
            raise ValueError(f"{self.file}, {self.name}: its place is there {source.count(old)} times, not once")
        return source.replace(old, new)

    def digest(self, root: Path) -> str:
        """Of the method and the changed file: what was found of another one says nothing of this one."""
        changed = self.applied((root / self.file).read_text())
        return hashlib.sha256(f"{self.method}\n{changed}".encode()).hexdigest()[:16]


def mutants(path: Path = LIST) -> list[Mutant]:
    """The list, the methods by turns."""
    found = [Mutant(**entry) for entry in tomllib.loads(path.read_text())["mutant"]]
    by_method: dict[str, list[Mutant]] = {}
    for mutant in found:
        by_method.setdefault(mutant.method, []).append(mutant)
    return [mutant for turn in zip_longest(*by_method.values()) for mutant in turn if mutant is not None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", action="append", default=[], help="only mutants of this method; repeat it")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON lines to add to")
    parser.add_argument("--part", default="0/1", help="I/N: every Nth mutant from the Ith on, to share the work")
    parser.add_argument("--root", type=Path, default=ROOT, help="the tree to copy")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--summary", action="store_true", help="only print what is known")
    asked = parser.parse_args()
    wanted = {
        mutant.digest(asked.root): mutant for mutant in mutants() if not asked.method or mutant.method in asked.method
    }
    if not asked.summary:
        start, step = map(int, asked.part.split("/"))
        known = {entry["digest"] for entry in _read(asked.results)}
        waiting = [mutant for digest, mutant in [*wanted.items()][start::step] if digest not in known]
        run(waiting, asked.root, asked.results, asked.minutes)
    found = {entry["digest"]: entry for entry in _read(asked.results)}
    sys.exit(summary([found[digest] for digest in wanted if digest in found], len(wanted)))


def run(waiting: Sequence[Mutant], root: Path, results: Path, minutes: float) -> None:
    """Runs mutants one after the other; methods whose own check is not clean are refused first."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for library in LIBRARIES:  # none of the project's own, which every fork imports anew
        importlib.import_module(library)
    until = time.monotonic() + 60 * minutes
    results.parent.mkdir(parents=True, exist_ok=True)
    clean: set[str] = set()
    failing: dict[str, frozenset[str]] = {}
    with tempfile.TemporaryDirectory(prefix="fernoise-mutants-") as scratch:
        tree = _copy(root, Path(scratch))
        for mutant in waiting:
            if time.monotonic() > until:
                return
            if mutant.method not in clean and check(tree, mutant.method)[0]:
                raise SystemExit(
                    f"{mutant.method}: the check is not clean before anything is changed; look at it first"
                )
            clean.add(mutant.method)
            entry = {
                "name": mutant.name,
                "method": mutant.method,
                "kind": mutant.kind,
                "digest": mutant.digest(tree / "fernoise_bench"),
            }
            entry |= judged(tree, mutant, failing)
            with results.open("a") as file:
                file.write(json.dumps(entry) + "\n")
            print(f"{entry['caught'] or 'ESCAPED':<12} {mutant.kind:<9} {mutant.name}: {entry['why']}", flush=True)


def judged(tree: Path, mutant: Mutant, failing: dict[str, frozenset[str]]) -> dict[str, str]:
    """Who caught a mutant ("check", "conformance" or nobody), and what was said.

    Args:
        tree: the copy to change; it is as it was afterwards.
        mutant: what to change.
        failing: by method, the conformance tests that fail whatever is changed; filled in as they are needed.
    """
    file = tree / "fernoise_bench" / mutant.file
    original = file.read_text()
    try:
        file.write_text(mutant.applied(original))
        code, said = check(tree, mutant.method)
        if code:
            return {"caught": "check", "why": said}
        found = conformance(tree, mutant.method)
    finally:
        file.write_text(original)
    if found and mutant.method not in failing:
        failing[mutant.method] = conformance(tree, mutant.method)
    news = sorted(found - failing.get(mutant.method, frozenset()))
    return {"caught": "conformance", "why": news[0]} if news else {"caught": "", "why": ""}


def check(tree: Path, method: str) -> tuple[int, str]:
    """Exit code of the check of a method, and the first thing it says is not as it was."""
    code, output = _command(tree, ["check", "--suite", "smoke", "--method", method, "--workers", "1"])
    lines = output.read_text().splitlines()
    if code not in (0, 1):
        raise SystemExit(f"check of {method} did not run: {lines[-1:]}")
    cells = (line.split("|") for line in lines if line.startswith("|") and "| **" in line)
    return code, next((f"{row[3].strip(' *')}: {row[-2].strip()}" for row in cells), "")


def _command(tree: Path, arguments: list[str]) -> tuple[int, Path]:
    """`fernoise-bench` on the packages of a tree, in a fork that finds its libraries imported; exit code and output."""
    output = tree / "output.txt"
    process = multiprocessing.get_context("fork").Process(target=_run_command, args=(tree, arguments, output))
    process.start()
    process.join()
    return process.exitcode or 0, output


def _run_command(tree: Path, arguments: list[str], output: Path) -> None:
    sys.path.insert(0, str(tree))
    sys.dont_write_bytecode = True
    with output.open("w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    from fernoise_bench.benchmark.cli import main as command

    command(arguments)


def conformance(tree: Path, method: str) -> frozenset[str]:
    """The conformance tests of a method and its variants that fail."""
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    listed = _python(tree, [*arguments, "tests/test_conformance.py", "--collect-only"]).stdout.splitlines()
    mine = [line for line in listed if any(f"[{method}{end}" in line for end in "-]:")]
    said = _python(tree, [*arguments, *mine]).stdout.splitlines() if mine else []
    return frozenset(line.split()[1] for line in said if line.startswith(("FAILED ", "ERROR ")))


def summary(entries: Sequence[dict[str, str]], total: int) -> int:
    """Prints the shares and what escaped; 1 where too many did."""
    if not entries:
        print("no results yet")
        return 1
    caught = Counter(entry["caught"] for entry in entries)
    shares = {
        "check": caught["check"] / len(entries),
        "check or conformance": (caught["check"] + caught["conformance"]) / len(entries),
    }
    print(f"\n{len(entries)} of {total} mutants run")
    for who, share in shares.items():
        print(f"{who}: {share:.1%} caught (at least {WANTED[who]:.0%} wanted)")
    print("\n".join(_by_kind(entries)))
    for entry in entries:
        if entry["caught"] != "check":
            print(f"not by check{'' if entry['caught'] else ', nor by conformance'}: {entry['kind']}: {entry['name']}")
    return int(any(share < WANTED[who] for who, share in shares.items()))


def _by_kind(entries: Sequence[dict[str, str]]) -> Iterator[str]:
    every = Counter(entry["kind"] for entry in entries)
    by_check = Counter(entry["kind"] for entry in entries if entry["caught"] == "check")
    for kind, count in every.most_common():
        yield f"  {kind:<9} {by_check[kind]:>3} of {count:>3} by check"


def _copy(root: Path, scratch: Path) -> Path:
    """The packages as an import path, and the tests beside them."""
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / package, scratch / "fernoise_bench" / package, ignore=ignore)
    shutil.copytree(root / "tests", scratch / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", scratch)
    return scratch


def _python(tree: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True)


def _read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
