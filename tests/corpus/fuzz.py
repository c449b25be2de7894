"""Coverage-guided fuzzing of the readers with atheris: `make fuzz`, or this module with the number of a target.

The input is a file's whole content, first that of a good one. A reader may return or raise BadInput with one line;
anything else is a crash, whose input libFuzzer writes down beside its traceback: it becomes a test in this folder.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

PACKAGES = ("fernoise_bench.protocols", "fernoise_bench.results")

with atheris.instrument_imports(include=list(PACKAGES)):
    for package in map(importlib.import_module, PACKAGES):  # readers are imported when they are wanted: now
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    from fernoise_bench.protocols.datasets.catalog import inspect
    from fernoise_bench.protocols.errors import BadInput
    from fernoise_bench.results.records.bundle import expand, write_bundle
    from fernoise_bench.results.records.record import load_records
    from fernoise_bench.results.regression.references import load as load_references

from ..results.fabricate import Trial, fabricate  # noqa: E402 - after what it imports is instrumented
from .readers import TARGETS  # noqa: E402

RECORD_FILES = ("identity.json", "status.json", "environment.json", "epochs.jsonl", "predictions.npz")
LARGEST = 1 << 20  # bytes of an input
HEAD = 4  # lines of a good file that are an input of their own: short ones are tried far more often

Read = Callable[[], object]


def of_data_set(number: int) -> Callable[[Path], tuple[Path, Read]]:
    """A file of a miniature data set, and what reads it."""
    target = TARGETS[number]

    def prepare(root: Path) -> tuple[Path, Read]:
        target.write(root / target.dataset)
        return root / target.dataset / target.file, lambda: inspect(target.dataset, root)

    return prepare


def of_record(name: str) -> Callable[[Path], tuple[Path, Read]]:
    """A file of a trial."""

    def prepare(root: Path) -> tuple[Path, Read]:
        return fabricate(root, Trial(rows=12, epochs=2)) / name, lambda: load_records(root)

    return prepare


def bundle(root: Path) -> tuple[Path, Read]:
    """A bundle of trials."""
    runs, file = root / "runs", root / "bundle.zip"
    write_bundle(runs, [fabricate(runs, Trial(rows=12, epochs=2))], file)

    def read() -> None:
        shutil.rmtree(root / "expanded", ignore_errors=True)
        expand(file, root / "expanded")

    return file, read


def references(root: Path) -> tuple[Path, Read]:
    """The references of a check."""
    file = root / "smoke.json"
    root.mkdir()
    file.write_text('{"format": 1, "protocols": {}, "entries": {}, "history": []}')
    return file, lambda: load_references(root, "smoke")


PREPARE = {
    **{target.file.rpartition("/")[2]: of_data_set(number) for number, target in enumerate(TARGETS)},
    **{name: of_record(name) for name in RECORD_FILES},
    "bundle": bundle,
    "references": references,
}


def fuzz(name: str, seconds: int) -> None:
    """Fuzzes one target in this process, which libFuzzer ends."""
    root = Path(tempfile.mkdtemp(prefix="fernoise-fuzz-"))
    file, read = PREPARE[name](root / "data")
    seeds = root / "seeds"
    seeds.mkdir()
    good = file.read_bytes()
    (seeds / "good").write_bytes(good)
    (seeds / "head").write_bytes(b"".join(good.splitlines(keepends=True)[:HEAD]))

    def one_input(content: bytes) -> None:
        file.write_bytes(content)
        try:
            read()
        except BadInput as error:
            if "\n" in str(error):
                raise AssertionError(f"more than one line: {error}") from error

    limits = [f"-max_total_time={seconds}", f"-max_len={LARGEST}", "-rss_limit_mb=3000", "-timeout=20"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={root}/", str(seeds)], one_input)
    atheris.Fuzz()


def main() -> None:
    """Fuzzes the target named, or each in a process of its own; exit code 1 where one crashed."""
    seconds = int(os.environ.get("FERNOISE_FUZZ_SECONDS", "30"))
    if len(sys.argv) > 1:
        fuzz(sys.argv[1], seconds)
        return
    crashed = []
    for name in PREPARE:
        done = subprocess.run([sys.executable, "-m", __spec__.name, name], check=False, capture_output=True, text=True)
        last = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("Done")), "")
        print(f"{name:<48} {'ok' if not done.returncode else 'CRASHED'}  {last}", flush=True)
        if done.returncode:
            print(done.stderr[-4000:])
            crashed.append(name)
    sys.exit(1 if crashed else 0)


if __name__ == "__main__":
    main()
