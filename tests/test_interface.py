"""`import fernoise_bench`: quick, complete, and of modules that have one name each."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fernoise_bench as fb
from fernoise_bench.protocols.errors import BadInput

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "timm", "numpy", "pandas", "scipy", "sklearn", "matplotlib", "click", "msgspec", "PIL"}


def names_after(code: str) -> set[str]:
    """The modules that are loaded after some lines."""
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_it_loads_nothing_else() -> None:
    loaded = names_after("import fernoise_bench as fb\ndir(fb)\nfb.__doc__")
    assert not loaded & HEAVY
    assert {name for name in loaded if name.startswith("fernoise_bench")} == {"fernoise_bench"}


def test_lists_and_records_load_no_torch() -> None:
    loaded = names_after("import fernoise_bench as fb\nfb.list_methods(), fb.list_protocols(), fb.load_records")
    assert not loaded & {"torch", "timm", "safetensors", "pandas"}


def test_every_name_is_there() -> None:
    assert dir(fb) == sorted(fb.__all__)
    for name in fb.__all__:
        assert getattr(fb, name) is getattr(fb, name), name
    assert fb.BadInput is BadInput
    assert fb.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    with pytest.raises(AttributeError, match="has no attribute 'load_record'"):
        fb.load_record  # noqa: B018


def test_no_module_has_two_names() -> None:
    """The root's folder is fernoise_bench alone, and no package of the repository is beside it."""
    assert Path(fb.__file__ or "").parent.resolve() != ROOT
    found = [name for name in sys.modules if getattr(sys.modules[name], "__file__", None) == fb.__file__]
    assert found == ["fernoise_bench"]
    with pytest.raises(ModuleNotFoundError):
        __import__("fernoise_bench.root")
