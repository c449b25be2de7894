"""What a user's file may not do when it is imported: change the process, end it, or read what no trial's name holds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from fernoise_bench.benchmark.isolation.imports import importing
from fernoise_bench.benchmark.registry import find
from fernoise_bench.protocols.errors import BadInput

MINE = """
import json
import os
import tomllib
from pathlib import Path

import numpy as np
import torch
from fernoise_bench.baselines.supervised import Supervised

os.environ["FERNOISE_TEST"] = "1"
{}


class Mine(Supervised):
    '''Supervised training.'''
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FERNOISE_TEST", "")
    (tmp_path / "values.toml").write_text("rate = 0.1")
    (tmp_path / "beside.py").write_text(
        "from pathlib import Path\nRATE = Path(__file__).with_name('values.toml').read_text()"
    )
    return tmp_path / "mine.py"


def test_a_file_that_changes_the_process_when_it_is_imported_is_refused(file: Path) -> None:
    """Variables, which libraries set when they are imported, do not count."""
    file.write_text(MINE.format("torch.set_default_dtype(torch.float64)"))
    with pytest.raises(BadInput, match=r"mine\.py: importing it changes torch's default dtype.* for every other"):
        find(f"{file}:Mine")
    assert torch.get_default_dtype() == torch.float32
    file.write_text(MINE.format(""))
    assert find(f"{file}:Mine").name == "mine.Mine"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("RATE = tomllib.loads(Path(__file__).with_name('values.toml').read_text())", "values.toml"),
        ("with open(Path(__file__).with_name('values.toml')) as values: RATE = values.read()", "values.toml"),
        ("RATE = np.loadtxt(Path(__file__).with_name('values.toml'), str)", "values.toml"),
        ("NAMES = os.listdir(Path(__file__).parents[1])", "os.listdir"),
        ("STATUS = os.system('true')", "os.system"),
    ],
)
def test_what_a_file_reads_when_it_is_imported_is_refused(file: Path, line: str, named: str) -> None:
    """Its content is no part of what identifies a trial, which would be taken for finished after a change of it."""
    file.write_text(MINE.format(line))
    with pytest.raises(BadInput) as caught:
        find(f"{file}:Mine")
    message = str(caught.value)
    assert message.startswith(f"--method {file}: importing it opens ")
    assert named in message
    assert f"(mine.py, line {MINE[: MINE.index('{')].count(chr(10)) + 1})" in message
    assert "write values as hyper-parameters, in Params" in message


def test_what_a_module_beside_it_reads_is_refused_with_that_line(file: Path) -> None:
    file.write_text(MINE.format("from beside import RATE"))
    with pytest.raises(BadInput, match=r"importing it opens .*values\.toml.* \(beside\.py, line 2\)"):
        find(f"{file}:Mine")


@pytest.mark.weekly
def test_libraries_may_read_what_they_need(file: Path) -> None:
    """As matplotlib and pandas do when they are first imported; and so may the search for modules."""
    code = f"from fernoise_bench.benchmark.registry import find; print(find('{file}:Mine').name)"
    file.write_text(MINE.format("import matplotlib.pyplot, pandas, sklearn.metrics, timm"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("mine.Mine\n", 0), done.stderr


@pytest.mark.parametrize("line", ["os._exit(0)", "os.execv('/bin/true', ['true'])", "os.execlp('true', 'true')"])
def test_a_file_that_ends_the_process_is_refused(file: Path, line: str) -> None:
    file.write_text(MINE.format(line))
    with pytest.raises(BadInput, match=r"mine\.py: importing it ends the process \(os\.(_exit|execv|execve)\)"):
        find(f"{file}:Mine")


def test_a_run_with_a_file_that_ends_the_process_is_no_success(file: Path) -> None:
    file.write_text(MINE.format("os._exit(0)"))
    command = [sys.executable, "-m", "fernoise_bench", "run", "--protocol", "ferplus-sym", "--profile", "smoke"]
    options = ["--synthetic", "--method", f"{file}:Mine", "--out", str(file.parent / "runs")]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"--method {file}: importing it ends the process (os._exit)" in done.stderr


def test_other_threads_and_forked_processes_may_end_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose parent has died ends itself from a thread."""
    codes: list[int] = []
    real = os._exit
    monkeypatch.setattr(os, "_exit", lambda code: codes.append(code) if os.getpid() == here else real(code))
    here, before = os.getpid(), os._exit
    with importing("mine", set()):
        thread = threading.Thread(target=os._exit, args=(3,))
        thread.start()
        thread.join()
        if not (pid := os.fork()):
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        with pytest.raises(BadInput, match="mine: importing it ends the process"):
            os._exit(0)
    assert os._exit is before
    assert codes == [3]
