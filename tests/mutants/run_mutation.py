"""How many small mistakes in the maths do its tests notice?

`python tests/mutants/run_mutation.py` (`make mutation`): mutmut changes one operator, number, argument or text at a
time in the files that pyproject.toml lists under `tool.mutmut`, in a copy of the packages, and runs the tests of the
changed function. Prints a table and every survivor as a diff; exit code 1 where a file's score is below 85%. A survivor
that behaves as the original does counts against the score all the same. Running again goes on from where it was
stopped unless `--fresh`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("benchmark", "methods", "baselines", "protocols", "results")
NOTICED = {"killed", "timeout"}
WANTED = 0.85
# mutmut leaves decorated functions alone; without its cache this one does the same, slower.
DECORATOR = re.compile(r"^@functools\.cache\n", re.MULTILINE)


def main() -> None:
    """Make the copy, run mutmut in it, say what came out."""
    parser = argparse.ArgumentParser(description="mutate the maths, run its tests on every mutant")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "mutation", help="where the copy is made")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--fresh", action="store_true", help="forget an earlier run")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(options.out, ignore_errors=True)
    if not options.out.exists():
        copy(options.out)
    mutmut("run", "--max-children", str(options.workers), folder=options.out)
    states = parsed(mutmut("results", "--all", "true", folder=options.out, captured=True))
    if not states:
        sys.exit(f"mutmut made no mutant in {options.out}: does tool.mutmut in pyproject.toml name the files?")
    for mutant, state in states.items():
        if state not in NOTICED:
            print(changed_lines(mutmut("show", mutant, folder=options.out, captured=True)), flush=True)
    print(table(states))
    sys.exit(any(score(counts) < WANTED for counts in by_file(states).values()))


def copy(out: Path) -> None:
    """The packages under their import name, with the tests and the configuration beside them."""
    ignored = shutil.ignore_patterns("__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, out / "fernoise_bench" / package, ignore=ignored)
    shutil.copytree(ROOT / "tests", out / "tests", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", out)
    for path in (out / "fernoise_bench").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if DECORATOR.search(source):
            path.write_text(DECORATOR.sub("", source), encoding="utf-8")


def mutmut(*arguments: str, folder: Path, captured: bool = False) -> str:
    """Run mutmut in a folder; its output where it is captured, exit where it fails."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE if captured else None, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} in {folder} failed with exit code {done.returncode}")
    return done.stdout or ""


def parsed(results: str) -> dict[str, str]:
    """The state of each mutant, from lines `name: state`."""
    return dict(line.strip().split(": ") for line in results.splitlines() if "__mutmut_" in line)


def by_file(states: dict[str, str]) -> dict[str, Counter[str]]:
    """How many mutants of each module are in each state."""
    files: dict[str, Counter[str]] = {}
    for mutant, state in states.items():
        files.setdefault(mutant.rpartition(".")[0], Counter())[state] += 1
    return files


def score(counts: Counter[str]) -> float:
    """The share that was noticed."""
    return sum(counts[state] for state in NOTICED) / counts.total()


def changed_lines(diff: str) -> str:
    """The name of a mutant with the lines it takes and gives."""
    kept = [line for line in diff.splitlines() if line[:1] in "#+-" and line[:3] not in ("+++", "---")]
    return "\n".join(kept)


def table(states: dict[str, str]) -> str:
    """One line a module: mutants, noticed, not noticed, score."""
    lines = ["| module | mutants | noticed | not noticed | score |", "|---|---:|---:|---:|---:|"]
    for module, counts in sorted(by_file(states).items()):
        noticed = sum(counts[state] for state in NOTICED)
        total = counts.total()
        lines.append(f"| {module} | {total} | {noticed} | {total - noticed} | {score(counts):.1%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
