"""What reads results runs without torch, timm and safetensors, as after `requirements-records.txt` alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRAINING = {"torch", "timm", "safetensors", "scikit-learn", "threadpoolctl"}
BLOCKED = """
import sys
for name in ("torch", "timm", "safetensors", "sklearn", "threadpoolctl"):
    sys.modules[name] = None  # importing it raises ImportError
"""
SCRIPT = f"""{BLOCKED}
from click.testing import CliRunner
from fernoise_bench.benchmark.cli import main
for line in (
    "list", "show method recot:no-tlr", "table fer2013-real --audit", "table recot-4", "claims", "report --out page"
):
    done = CliRunner().invoke(main, line.split())
    assert done.exit_code == 0, (line, done.output, done.exception)
    assert len(done.stdout.splitlines()) > 8 or "page" in done.output, (line, done.output)

words = "run --protocol ferplus-sym --method gce --synthetic --profile smoke"
done = CliRunner().invoke(main, words.split())
assert (done.exit_code, "methods need torch, which is not installed here" in done.stderr) == (2, True), done.output

import fernoise_bench as fb
records = fb.load_records(reference=True)
frame = records.to_frame()
assert len(records) == len(frame) > 700
assert frame["last"].between(0, 100).all()
assert fb.compare(records, "fer2013-real", "cocuring", "ensemble")["p"].between(0, 1).all()
assert len(fb.list_methods()) > 30
assert len(fb.list_protocols()) > 30
"""


def test_results_need_no_torch(tmp_path: Path) -> None:
    """Tables, claims, the page, cards, lists, and records in Python; nor do they unpack what ships."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page" / "index.html").stat().st_size > 100_000
    assert not list(tmp_path.glob("cache/**/*.npz"))


def test_the_requirements_of_records_are_those_of_the_package_without_training() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    lines = (ROOT / "requirements-records.txt").read_text().splitlines()
    by_name = {re.split(r"[>=]", line)[0]: line for line in needed}
    assert by_name.keys() >= TRAINING
    assert [line for line in lines if not line.startswith("#")] == [
        line for name, line in by_name.items() if name not in TRAINING
    ]
