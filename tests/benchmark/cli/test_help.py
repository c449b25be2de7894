"""The examples in every command's help: that they are there, that they fit, that they parse, that quick ones run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.cli import main
from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.protocols.datasets.catalog import NAMES as DATA_SETS
from fernoise_bench.results.papers.figures import FIGURES
from fernoise_bench.results.papers.reported import TABLE_IDS


def every_command(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands and groups that help shows, with their names."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from every_command(inner, (*path, name))


def examples(command: click.Command) -> list[str]:
    lines = (command.help or "").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("fernoise-bench ")]


COMMANDS = dict(every_command(main))
EXAMPLES = sorted({line for command in COMMANDS.values() for line in examples(command)})
QUICK = (
    "list",
    "show",
    "status --runs",
    "runs list",
    "data faces --out sheet.png",
    "claims",
    "figure",
    "meta",
    "table",
)


def parsed(words: Sequence[str]) -> click.Context:
    """The context of a command line's last command."""
    command, context, rest = main, click.Context(main), list(words)
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert name
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    return command.make_context(command.name, rest)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_two_to_four_examples_of_itself(path: tuple[str, ...]) -> None:
    found = examples(COMMANDS[path])
    assert 2 <= len(found) <= 4
    if not hasattr(COMMANDS[path], "commands") and path[0] != "show":
        start = " ".join(("fernoise-bench", *path))
        assert all(line == start or line.startswith(f"{start} ") for line in found)


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_parses_fits_and_names_what_there_is(line: str) -> None:
    assert len(line) <= 78
    options = parsed(shlex.split(line)[1:]).params
    names = {options.get("name"), options.get("protocol"), options.get("table")} - {None}
    known = {*PROTOCOLS, *TABLE_IDS, *FIGURES, *DATA_SETS}
    assert all(name in known or ".py:" in name or name.endswith(".toml") or registry.find(name) for name in names)
    methods = [name for name in options.get("methods") or () if ".py:" not in name and not name.startswith("mine.")]
    assert all(registry.find(name) for name in methods)


def how_often(line: str) -> tuple[pytest.MarkDecorator, ...]:
    """Once a week what draws faces, which takes ten seconds."""
    return (pytest.mark.weekly,) if "--synthetic" in line or "data faces" in line else ()


@pytest.mark.parametrize(
    "line",
    [pytest.param(line, marks=how_often(line)) for line in EXAMPLES if line.partition(" ")[2].startswith(QUICK)],
)
def test_a_quick_example_runs(line: str, what_ships: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, so that it is about the results that ship."""
    if "figure" in line or "--matrix" in line:
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "docs" / "examples" / "my_method.py"
    file.parent.mkdir(parents=True)
    file.write_text((Path(__file__).parents[3] / "docs" / "examples" / "my_method.py").read_text())
    said = CliRunner().invoke(main, shlex.split(line)[1:])
    assert said.exit_code == 0, said.output


@pytest.mark.parametrize("width", ["60", "80", "120"])
def test_examples_are_not_wrapped(width: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    said = CliRunner().invoke(main, ["run", "--help"]).output
    assert all(f"\n  {line}\n" in said for line in examples(COMMANDS[("run",)]))
