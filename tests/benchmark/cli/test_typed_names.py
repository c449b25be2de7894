"""What a user may type a little otherwise: a name without its kind, a data set's own folder, shares in percent."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main

from ...protocols.miniatures.ferplus import write_tables


def fernoise_bench(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.mark.parametrize(
    ("kind", "name"), [("protocol", "fer2013-real"), ("method", "co-teaching"), ("method", "gce"), ("table", "recot-4")]
)
def test_show_finds_the_kind_of_a_name(kind: str, name: str) -> None:
    alone = fernoise_bench("show", name)
    assert alone.exit_code == 0
    assert alone.stdout == fernoise_bench("show", kind, name).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("method", "fer2013-real"),
            "'fer2013-real' is no method but a protocol: fernoise-bench show protocol",
        ),
        (("protocol", "gce"), "'gce' is no protocol but a method: fernoise-bench show method gce"),
        (("fer201-real",), "unknown protocol, method or table 'fer201-real': did you mean fer2013-real"),
        (("cocuring-fig2",), "'cocuring-fig2' is a figure: fernoise-bench figure cocuring-fig2 draws it"),
        (("ferplus",), "'ferplus' is a data set: fernoise-bench data verify ferplus"),
        (("xyzzy",), "unknown protocol, method or table 'xyzzy': fernoise-bench list prints the names"),
    ],
)
def test_show_names_what_is_meant(words: tuple[str, ...], message: str) -> None:
    said = fernoise_bench("show", *words)
    assert said.exit_code == 2
    assert said.stderr.startswith(f"fernoise-bench: {message}")


def test_a_name_of_two_things_is_told_with_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fernoise_bench.results.papers.reported.TABLE_IDS", ("gce",))
    commands = "fernoise-bench show method gce, or fernoise-bench show table gce"
    assert fernoise_bench("show", "gce").stderr == f"fernoise-bench: 'gce' is a method and a table: {commands}\n"


def test_the_folder_of_a_data_set_stands_for_the_one_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = write_tables(tmp_path / "ferplus")
    right = fernoise_bench("data", "verify", "ferplus", "--quick", "--data-root", str(tmp_path))
    said = fernoise_bench("data", "verify", "ferplus", "--quick", "--data-root", str(own))
    assert said.stdout == right.stdout
    assert said.stderr == f"--data-root {own}: that is the folder of ferplus itself; using {tmp_path}\n"
    monkeypatch.chdir(own)
    assert f"using {tmp_path}\n" in fernoise_bench("data", "verify", "ferplus", "--quick", "--data-root", ".").stderr


def test_another_folder_stays_the_data_root(tmp_path: Path) -> None:
    write_tables(tmp_path / "ferplus" / "ferplus")
    said = fernoise_bench("data", "verify", "ferplus", "--quick", "--data-root", str(tmp_path / "ferplus"))
    assert (said.exit_code, said.stderr) == (1, "")


@pytest.mark.parametrize("words", [("run", "--method", "gce", "--synthetic", "--protocol"), ("figure",)])
def test_a_level_in_percent(words: tuple[str, ...]) -> None:
    said = fernoise_bench(*words, "ferplus-sym", "--noise", "40")
    message = "--noise 40: a noise level lies in [0, 1); did you mean 0.4?"
    assert (said.exit_code, said.stderr) == (2, f"fernoise-bench: {message}\n")


def test_check_takes_methods_with_commas() -> None:
    said = fernoise_bench("check", "--method", "gce,elrr")
    assert (said.exit_code, "'elrr': did you mean elr" in said.stderr) == (2, True)


def refused(*words: str) -> str:
    """What a command says that is refused, in one line."""
    done = CliRunner().invoke(main, list(words))
    assert (done.exit_code, done.stdout) == (2, "")
    return done.stderr.removeprefix("fernoise-bench: ").removesuffix("\n")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("table", "fer2013-real", "--against", ""), "--against"),
        (("table", "fer2013-real", "--columns="), "--columns"),
        (("table", ""), "an argument"),
        (("meta", "--against", " "), "--against"),
        (("run", "--protocol", "ferplus-sym", "--all-methods", "--synthetic", "--noise-salt", ""), "--noise-salt"),
        (("runs", "rm", "--method", "elr", "--digest", "", "--yes"), "--digest"),
        (("runs", "rm", "--method", "elr", "--protocol=", "--yes"), "--protocol"),
    ],
)
def test_an_empty_value_is_refused(words: tuple[str, ...], named: str) -> None:
    assert refused(*words) == f"{named}: its value is empty; give one, or leave it out"


def test_a_digest_without_digits_removes_nothing() -> None:
    said = refused("runs", "rm", "--method", "elr", "--digest", "#", "--yes")
    assert said == "--digest #: name a version by its digits, or leave --digest out to remove all versions"


@pytest.mark.parametrize("command", ["table", "show", "figure"])
def test_another_version_than_there_is_is_refused(command: str) -> None:
    said = refused(command, "fer2013-real@7")
    assert said == "fer2013-real@7: there is no version 7 of fer2013-real here, only fer2013-real@1"
