"""Measures training on this machine's GPU, and trains a slice of the leaderboard with the time that is left.

    python -m tests.cuda.measure --out gpu-results --minutes 8

Writes measurements.jsonl, and the trials of the slice as bundles, into the output folder. The slice needs the real
faces under FERNOISE_DATA; without them it is left out, and the file says so. `--device cpu` rehearses it all in small.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch

from fernoise_bench.benchmark.planning.harness_speed import Case, measure
from fernoise_bench.results.records.reference_leaderboard import bundle_runs
from fernoise_bench.results.records.schema import Status
from fernoise_bench.results.records.store import find_trials
from fernoise_bench.results.records.trial_files import read_part

CASES = {
    "cuda": (
        (Case("small", 48, 32, 200), ("fp32",)),
        (Case("dlib29", 64, 64, 100), ("fp32", "bf16")),
        (Case("resnet18", 224, 128, 30), ("fp32", "tf32", "bf16")),
    ),
    "cpu": ((Case("small", 48, 32, 4), ("fp32",)),),
}
SIDE_BY_SIDE = {"cuda": (1, 4, 8, 16), "cpu": (1, 2)}
SLICE = (
    ("fer2013-real",),
    ("ferplus-sym", "--noise", "0.4"),
)
SLICE_METHODS = "supervised,ensemble,cocuring,elr,sce"
LEAST_SECONDS = 60.0  # for a part of the slice


@dataclass(frozen=True)
class Measuring:
    """Where and how long to measure."""

    device: str
    out: Path
    ends: float

    @property
    def seconds_left(self) -> float:
        return self.ends - time.perf_counter()


def device_facts(how: Measuring) -> Iterator[Mapping[str, Any]]:
    """The GPU and the libraries."""
    name = torch.cuda.get_device_name() if how.device == "cuda" else "cpu"
    yield {"what": "device", "name": name, "torch": torch.__version__, "timm": timm.__version__}


def speeds(how: Measuring) -> Iterator[Mapping[str, Any]]:
    """The harness beside a bare loop."""
    for case, precisions in CASES[how.device]:
        for precision in precisions:
            found = measure(case, how.device, precision)
            rates = {"harness": round(found.harness), "bare": round(found.bare), "share": round(found.share, 3)}
            yield {"what": "images a second", "case": str(case), "precision": precision, **rates}


def side_by_side(how: Measuring) -> Iterator[Mapping[str, Any]]:
    """Trials that share the device: how much they train together, in trials an hour."""
    for number in SIDE_BY_SIDE[how.device]:
        with tempfile.TemporaryDirectory() as folder:
            asked = ("--protocol", "ferplus-sym", "--noise", "0.4", "--method", "supervised", "--synthetic")
            size = ("--profile", "small" if how.device == "cuda" else "smoke", "--seeds", str(number))
            engine = ("--engine", "local", "--workers", str(number), "--device", how.device, "--out", folder)
            run(*asked, *size, *engine, seconds=how.seconds_left)
            found = statuses(Path(folder))
            walls = [status.wall_seconds or 0.0 for status in found if status.state == "done"]
        rate = round(3600 * len(walls) / max(walls), 1) if walls else None
        yield {"what": "side by side", "asked": number, "done": len(walls), "trials_an_hour": rate}


def leaderboard_slice(how: Measuring) -> Iterator[Mapping[str, Any]]:
    """Trials of the profile transfer on the real faces, as many as the time allows, as bundles."""
    if not os.environ.get("FERNOISE_DATA"):
        yield {"what": "slice", "left_out": "FERNOISE_DATA does not name the folder of the real faces"}
        return
    runs = how.out / "runs"
    for number, protocol in enumerate(SLICE):
        seconds = how.seconds_left / (len(SLICE) - number)
        if seconds < LEAST_SECONDS:
            yield {"what": "slice", "protocol": protocol[0], "left_out": f"{seconds:.0f} s left"}
            continue
        engine = ("--engine", "local", "--workers", "8", "--device", how.device, "--precision", "bf16")
        asked = ("--protocol", *protocol, "--profile", "transfer", "--method", SLICE_METHODS, "--seeds", "3")
        run(*asked, *engine, "--out", str(runs), seconds=seconds)
        states = [status.state for status in statuses(runs)]
        yield {"what": "slice", "protocol": protocol[0], "done": states.count("done"), "of": len(states)}
    bundle_runs(runs, how.out)


def statuses(runs: Path) -> list[Status]:
    """Of the trials that have begun."""
    return [read_part(trial, Status) for trial in find_trials(runs) if (trial / "status.json").is_file()]


def run(*options: str, seconds: float) -> None:
    """Runs `fernoise-bench run`, which is interrupted, and keeps what is finished, when its seconds are over."""
    main = "from fernoise_bench.benchmark.cli.app import main; main()"
    process = subprocess.Popen((sys.executable, "-c", main, "run", *options), stdout=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()


def measure_all() -> None:
    """Runs all parts in order; one that fails is recorded, and the others go on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device: nothing is measured (--device cpu rehearses it)")
    asked.out.mkdir(parents=True, exist_ok=True)
    how = Measuring(asked.device, asked.out, time.perf_counter() + 60 * asked.minutes)
    with (asked.out / "measurements.jsonl").open("w", encoding="utf-8") as file:
        for part in (device_facts, speeds, side_by_side, leaderboard_slice):
            try:
                for line in part(how):
                    _say(line, file)
            except (RuntimeError, OSError, ValueError) as error:  # CUDA's own errors are RuntimeErrors
                _say({"what": part.__name__, "failed": f"{type(error).__name__}: {error}"[:400]}, file)


def _say(line: Mapping[str, Any], file: Any) -> None:
    text = json.dumps(line)
    print(text, flush=True)
    file.write(f"{text}\n")
    file.flush()


if __name__ == "__main__":
    measure_all()
