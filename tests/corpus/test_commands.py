"""Words no command should choke on: names, numbers, weights, method files; one line, exit code 2, no traces."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from .bench import command, contents
from .damages import BYTES, MARK, Executed, noise, zipped

RUN = ("run", "--protocol", "ferplus-sym", "--synthetic", "--profile", "smoke", "--out", "runs")
STEER = "\x1b[2J\u202emine"
BAD_WORDS = {
    "empty": "",
    "look-alike": "ferplus‐sym",
    "Cyrillic": "ferрlus-sym",
    "a path": "../../../etc/passwd",
    "a wildcard": "*",
    "an option": "-",
    "terminal codes": STEER,
    "long": "x" * 100_000,
    "a surrogate": "\udcff",
    "a NUL": "ferplus\0sym",
    "an injection": "; touch here; $(touch here) `touch here`",
    "a format": "{0.__class__} %s %n",
}
NUMBERS = {
    "NaN": "nan",
    "infinite": "1e400",
    "negative": "-0.5",
    "look-alike digits": "０.２",
    "hexadecimal": "0x1p-2",
    "a long list": ",".join(["0.2"] * 50_000) + ",9",
    "empty parts": ",,,",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of its own with an earlier result, which stays as it is; nothing is written or executed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FERNOISE_DATA", raising=False)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "earlier").write_text("mine")
    yield
    assert not list(tmp_path.rglob(MARK))
    assert contents(tmp_path / "runs") == {"earlier": b"mine"}
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("name", BAD_WORDS)
@pytest.mark.parametrize(
    "typed",
    [
        ("run", "--protocol", "{}", "--all-methods", "--synthetic", "--out", "runs"),
        (*RUN, "--method", "{}"),
        (*RUN, "--method", "supervised", "--fold", "{}"),
        ("plan", "--protocol", "{}", "--all-methods"),
        ("table", "{}", "--runs", "runs"),
        ("show", "protocol", "{}"),
        ("show", "method", "{}"),
        ("data", "verify", "{}"),
    ],
    ids=["protocol", "method", "fold", "plan", "table", "show protocol", "show method", "data"],
)
def test_a_name_that_is_none(typed: tuple[str, ...], name: str) -> None:
    found = command(*(word.replace("{}", BAD_WORDS[name]) if word == "{}" else word for word in typed))
    assert found.ordinary, found
    assert found.code == 2
    assert found.out == ""
    assert "Traceback" not in found.err


@pytest.mark.parametrize("name", NUMBERS)
def test_a_noise_level_that_is_none(name: str) -> None:
    assert command(*RUN, "--method", "supervised", "--noise", NUMBERS[name]).refused


@pytest.mark.parametrize("seeds", ["0", "-1", str(10**9), str(10**30), "1.5", "１０"])
def test_seeds_that_cannot_be(seeds: str) -> None:
    found = command("plan", *RUN[1:-2], "--method", "supervised", "--seeds", seeds)
    assert found.ordinary, found
    assert (found.code, found.out) == (2, "") or seeds == "１０"


@pytest.mark.parametrize(
    "typed",
    [
        ("--workers", "0"),
        ("--workers", "-3"),
        ("--workers", "many"),
        ("--engine", "nothing"),
        ("--device", "tpu"),
        ("--precision", "fp8"),
        ("--profile", "huge"),
        ("--grace", "-1"),
        ("--recipe", "mine"),
        ("--protocl", "x"),
    ],
    ids=" ".join,
)
def test_an_option_that_cannot_be(typed: tuple[str, ...]) -> None:
    found = command(*RUN, "--method", "supervised", *typed)
    assert found.ordinary, found
    assert (found.code, found.out) == (2, "")
    assert typed[0].lstrip("-") in found.err


# --- weights


def evil(path: Path) -> None:
    torch.save({"state_dict": Executed()}, path)


WEIGHTS: dict[str, Callable[[Path], object]] = {
    **{name: lambda path, damage=damage: path.write_bytes(damage(b"x" * 100)) for name, damage in BYTES.items()},
    "code in it": evil,
    "cut": lambda path: (torch.save({"a": torch.ones(1000)}, path), path.write_bytes(path.read_bytes()[:-100])),
    "no tensors": lambda path: torch.save({"state_dict": {"a": 1}}, path),
    "a list": lambda path: torch.save([1, 2], path),
    "names of another network": lambda path: torch.save({"x.weight": torch.ones(3)}, path),
    "names out of the archive": lambda path: path.write_bytes(zipped({"../../data.pkl": b"x", "/etc/x": b"y"})),
    "a folder": lambda path: path.mkdir(),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("ending", [".pth", ".pkl"])
def test_weights_that_cannot_be_used(name: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{ending}"
    WEIGHTS[name](path)
    found = command(*RUN[:4], "--profile", "paper", *RUN[-2:], "--method", "supervised", "--weights", str(path))
    assert found.refused, found
    assert path.name in found.err


SAFETENSORS = {
    "empty": b"",
    "a header of 2^63 bytes": struct.pack("<Q", 2**63) + b"{}",
    "a header of 1 GB": struct.pack("<Q", 1 << 30) + b"{}",
    "no JSON": struct.pack("<Q", 4) + b"abcd",
    "offsets outside": struct.pack("<Q", 64)
    + json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 999]}}).encode().ljust(64),
    "a negative shape": struct.pack("<Q", 64)
    + json.dumps({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}).encode().ljust(64),
    "random bytes": noise(300),
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_safetensors_that_cannot_be_used(name: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(SAFETENSORS[name])
    found = command(*RUN[:4], "--profile", "paper", *RUN[-2:], "--method", "supervised", "--weights", str(path))
    assert found.refused, found
    assert found.ordinary, found


# --- method files

HEAD = "from fernoise_bench.methods.base import Method, NoParams\n"
BODY = "    needs = frozenset({'single'})\n    def loss(self, batch): ...\n    def predict(self, images): ...\n"
METHODS = {
    "empty": b"",
    "NUL": b"\0\0\0",
    "UTF-16": "class Mine: ...\n".encode("utf-16"),
    "not UTF-8": b"# \xff\xfe\nclass Mine: ...\n",
    "a web page": b"<!DOCTYPE html>\n",
    "it exits": b"raise SystemExit(0)\n",
    "it exits at once": b"import sys\nsys.exit('bye')\n",
    "it raises a group": b"raise ExceptionGroup('x', [ValueError('y')])\n",
    "it nests too deep": b"(" * 10_000,
    "it recurses": b"def f(): f()\nf()\n",
    "no class": b"Mine = 3\n",
    "a look-alike class": f"{HEAD}class Mіne(Method):\n{BODY}".encode(),
    "an instance": f"{HEAD}Mine = object()\n".encode(),
    "needs nothing": f"{HEAD}class Mine(Method):\n{BODY}    needs = ()\n".encode(),
    "needs what nobody has": f"{HEAD}class Mine(Method):\n{BODY.replace('single', 'magic')}".encode(),
    "parameters that are no dataclass": f"{HEAD}class Mine(Method):\n{BODY}    Params = 7\n".encode(),
    "parameters that are no JSON": (
        f"import dataclasses\n{HEAD}@dataclasses.dataclass\nclass P:\n    a: object = len\n\n"
        f"class Mine(Method):\n{BODY}    Params = P\n"
    ).encode(),
    "parameters that raise": (
        f"import dataclasses\n{HEAD}@dataclasses.dataclass\nclass P:\n    a: int = 1\n"
        f"    def __post_init__(self): raise KeyError('no')\n\nclass Mine(Method):\n{BODY}    Params = P\n"
    ).encode(),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_file_that_cannot_be_used(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_bytes(METHODS[name])
    found = command(*RUN, "--method", "mine.py:Mine")
    assert found.refused, found
    assert found.ordinary, found
    assert "mine" in found.err.lower()


WRONGLY = ["mine.py", "mine.py:", "mine.py:a:b:c", "mine.pyc:Mine", "folder.py:Mine", ".py:Mine"]


@pytest.mark.parametrize("typed", WRONGLY)
def test_a_method_file_named_wrongly(typed: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{HEAD}class Mine(Method):\n{BODY}")
    (tmp_path / "folder.py").mkdir()
    assert command(*RUN, "--method", typed).refused


def test_a_name_that_steers_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / f"{STEER}.py"
    path.write_text(f"{HEAD}class Mine(Method):\n{BODY}")
    found = command(*RUN, "--method", f"{path}:Mine")
    assert found.refused, found
