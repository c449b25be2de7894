"""Training on a set of BP4D's size takes no more memory than on a tenth of it, but for the scores that each training
keeps of its labels: measured in processes of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fernoise_bench.protocols.catalog import find
from fernoise_bench.protocols.labels import EMOTIONET_AUS

from ...protocols.miniatures.pack import write_pack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MIB = 1 << 20
BP4D, SIDE, NOISY = 146_847, 240, 2_000
SCORES = 140  # bytes at most that a training keeps of an entry, at the moment when it writes them
FEW = 56  # frames that test, so that evaluation takes no time
# glibc keeps freed memory for each thread: without these the same training's peak differs by 100 MiB from run to run
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}

TRAIN = """
import itertools, json, sys
from dataclasses import replace
from pathlib import Path
import torch
from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.training import runner
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.benchmark.settings import Settings
from fernoise_bench.benchmark.trial import Job, Trial
from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.protocols.catalog import find
from fernoise_bench.protocols.loading import open_data

def memory(what):
    line = next(line for line in open("/proc/self/status") if line.startswith(what))
    return int(line.split()[1]) << 10

torch.set_num_threads(1)
trainer.forget_peak_memory = lambda device: None  # the peak is to be that of the whole process
root = Path(sys.argv[1])
protocol = replace(find("bp4d-3fold"), noisy_labels_from="", noise="automatic coder")
recipe = replace(protocol.paper.recipe, encoder="small", weights="none", epochs=1, batch_size=32, verified_per_batch=16)
found = {"imported": memory("VmRSS")}

def trial_of(recipe):
    settings = Settings("cpu", "fp32", "none", "", "", recipe)
    job = Job(protocol, "paper", "real", root, root / "runs", settings, "none", partial=False)
    return Trial(job, registry.find("supervised"), "part1", None, 0)

trial = trial_of(replace(recipe, max_steps=6))
context = runner.WorkerContext(opened=open_data(protocol, "paper", "real", root))
status = runner.run_trial(trial, context, lambda event: None)
assert status["state"] == "done", status
told = json.loads((trial.folder / "environment.json").read_text())
found |= {"trained": memory("VmHWM"), "rows": told["rows"], "seconds": status["seconds"]}
whole = trial_of(recipe)  # the order and the draws of an epoch over all frames, of which the first steps are taken
training = trainer.start(whole, context.cell(whole), Weights("none"))
for batch in itertools.islice(training.train_set.batches(0, 2), 3):
    assert not batch.images[0].isnan().any()
print(json.dumps({**found, "whole epoch": memory("VmHWM"), "steps": training.train_set.sampler.steps}))
"""


def write(root: Path, frames: int) -> Path:
    """Packs of so many frames of 41 subjects, of whom those of part 1 have few, and of the noisy set."""
    protocol = find("bp4d-3fold")
    tested, *trained = [list(subjects) for _, subjects in protocol.parts]
    group = np.concatenate(
        [np.resize(tested, FEW), np.resize([name for part in trained for name in part], frames - FEW)]
    )
    labels = np.where(np.random.default_rng(0).random((frames, 12)) < 0.3, 1, -1).astype(np.int8)
    part = np.full(frames, "part1")
    faces = write_pack(root / "packs/bp4d-240", protocol.names, labels, group, part, SIDE) / "faces.npy"
    assert faces.stat().st_size > frames * SIDE * SIDE * 3
    if faces.stat().st_blocks * 512 > MIB:
        pytest.skip("this file system has no sparse files")
    given = np.where(np.random.default_rng(1).random((NOISY, 12)) < 0.3, 1, -1).astype(np.int8)
    names = np.arange(NOISY).astype(str)
    write_pack(root / "packs/emotionet-240", EMOTIONET_AUS, given, names, np.full(NOISY, "automatic"), SIDE)
    return root


def measured(root: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", TRAIN, str(root)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=os.environ | MALLOC)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.mark.weekly
def test_training_on_frames_of_bp4ds_number_and_size(tmp_path: Path) -> None:
    large, small = (measured(write(tmp_path / str(frames), frames)) for frames in (BP4D, BP4D // 10))
    print(f"\n{BP4D:,} frames: {large}\n{BP4D // 10:,} frames: {small}")
    assert large["rows"] == {"train": BP4D - FEW + NOISY, "validation": 0, "test": FEW, "test_copies": 0}
    assert large["trained"] < 2_000 * MIB
    assert large["whole epoch"] < 2_000 * MIB
    entries = 12 * (large["rows"]["train"] - small["rows"]["train"])
    assert large["trained"] < 1.05 * small["trained"] + SCORES * entries
