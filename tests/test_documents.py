"""What the documents say: commands, options, names, links, paths, tables and examples are those of the code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.networks.initial_weights import VGGFACE2_STEM
from fernoise_bench.benchmark.networks.provenance import MSCELEB_FILES
from fernoise_bench.protocols.base import PROFILES
from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.protocols.datasets.catalog import NAMES as DATA_SETS
from fernoise_bench.results.claims.verdicts import VERDICTS
from fernoise_bench.results.papers.figures import FIGURES
from fernoise_bench.results.papers.reported import TABLE_IDS
from fernoise_bench.results.records.record import RULES
from fernoise_bench.results.regression.compare import STATUSES
from fernoise_bench.results.statistics import pairs_needed

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "protocols" / "README.md"])
SHELL = ("", "sh")  # languages of a block whose lines are commands
COMMAND = "from fernoise_bench.benchmark.cli import main; main(prog_name='fernoise-bench')"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose_of(document: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^    .*$", "", FENCE.sub("", document.read_text(encoding="utf-8")), flags=re.MULTILINE)


def shown(document: Path) -> Iterator[str]:
    """Every line of shell that a document shows, in a block or in a sentence, without its remark."""
    text = document.read_text(encoding="utf-8")
    blocks = [block for language, block in FENCE.findall(text) if language in SHELL]
    indented = re.findall(r"^    (\S.*)$", FENCE.sub("", text), flags=re.MULTILINE)
    for line in [*re.sub(r"\\\n *", "", "".join(blocks)).splitlines(), *indented]:
        yield line.partition(" #")[0].strip()
    yield from CODE.findall(prose_of(document))


def commands() -> list[str]:
    """Every `fernoise-bench …` of the documents, once."""
    found = (line for document in DOCUMENTS for line in shown(document) if line.startswith("fernoise-bench "))
    return list(dict.fromkeys(found))


def section(name: str, heading: str) -> str:
    """A section of a document, without its heading."""
    _, _, rest = text_of(name).partition(f"\n## {heading}\n")
    assert rest, f"{name} has no section {heading}"
    return rest.partition("\n## ")[0]


def rows_of(text: str) -> list[list[str]]:
    """The cells of the first table of a text, row by row, without its header."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# --- commands


def parsed(line: str) -> tuple[Sequence[str], click.Context]:
    """The names of a command and its parsed options; click's error where it does not exist or has no such option."""
    _, *words = shlex.split(line)
    command, names = main, []
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(click.Context(main), words)
        assert name is not None
        assert found is not None, f"{line}: no command {name}"
        names.append(name)
        assert not found.hidden, f"{line}: an old name"
        command = found  # type: ignore[assignment]
    return names, command.make_context(names[-1], words, resilient_parsing=False)


def test_the_readme_shows_commands() -> None:
    assert sum(line.startswith("fernoise-bench ") for line in shown(ROOT / "README.md")) >= 5


@pytest.mark.parametrize("line", commands())
def test_a_command_exists_with_its_options_and_names(line: str) -> None:
    options = parsed(line)[1].params
    protocol, name = options.get("protocol"), options.get("name")
    assert protocol is None or protocol in PROTOCOLS or protocol.endswith(".toml")
    known = {*PROTOCOLS, *DATA_SETS, *TABLE_IDS, *FIGURES}
    assert name is None or name in known or name.endswith(".toml") or registry.find(name)
    for method in options.get("methods", ()):
        if ".py:" not in method:
            assert registry.find(method)


QUICK = (
    "list", "show", "status", "table", "figure", "claims", "report", "doctor", "data status", "data faces",
    "label-errors",
)  # fmt: skip


def is_quick(line: str) -> bool:
    """Whether a command takes a second or two and needs neither training nor a data set."""
    first, second, *_ = [*line.split()[1:], ""]
    return "--speed" not in line and ".toml" not in line and (first in QUICK or f"{first} {second}" in QUICK)


def is_small(line: str) -> bool:
    """Whether a command trains a few methods on generated faces, or measures the machine for a protocol's plan."""
    words = line.split()
    if words[1] == "plan":
        return "--protocol" in words
    return words[1] == "run" and "--synthetic --profile smoke" in line and "--all-methods" not in words


def how_often(line: str) -> tuple[pytest.MarkDecorator, ...]:
    """The README's first run runs with every push, those after it and of the other documents once a week."""
    first = next(line for line in shown(ROOT / "README.md") if line.startswith("fernoise-bench run"))
    return () if line == first else (pytest.mark.weekly,)


@pytest.mark.parametrize("line", [line for line in commands() if is_quick(line)])
def test_a_quick_command_runs(line: str, what_ships: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, so that it is about the results that ship."""
    if "figure" in line:
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    assert result.output


def test_there_are_quick_commands_of_every_kind() -> None:
    kinds = {parsed(line)[0][0] for line in commands() if is_quick(line)}
    assert kinds >= {"list", "show", "table", "figure", "claims", "report", "data", "status", "doctor"}


@pytest.mark.slow
@pytest.mark.parametrize("line", [pytest.param(line, marks=how_often(line)) for line in commands() if is_small(line)])
def test_a_small_command_runs(line: str, tmp_path: Path) -> None:
    """From the repository, since a document names a method's file as it lies there."""
    words = [*shlex.split(line)[1:], "--out", str(tmp_path / "runs")]
    result = subprocess.run([sys.executable, "-c", COMMAND, *words], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    methods = parsed(line)[1].params["methods"] or ("supervised",)
    assert all(method.rpartition(":")[2] in result.stdout for method in methods)


@every_document
def test_options_named_in_a_sentence_exist(document: Path) -> None:
    def options_of(command: click.Command) -> Iterator[str]:
        for parameter in command.params:
            yield from parameter.opts
        for inner in command.commands.values() if isinstance(command, click.Group) else ():
            yield from options_of(inner)

    named = {code.split()[0] for code in CODE.findall(prose_of(document)) if code.startswith("--")}
    assert named <= {*options_of(main), "--editable"}


@every_document
def test_make_verbs_exist(document: Path) -> None:
    verbs = {line.split()[1] for line in shown(document) if re.match(r"make [a-z]", line)}
    assert verbs <= set(re.findall(r"^([a-z-]+):", text_of("Makefile"), flags=re.MULTILINE))


def test_the_readme_names_the_verbs_that_set_everything_up() -> None:
    assert {"make demo", "make test"} <= set(shown(ROOT / "README.md"))


def test_the_readme_installs_in_three_lines() -> None:
    (_, block), *_ = FENCE.findall(section("README.md", "Install"))
    lines = [line.partition(" #")[0].strip() for line in block.splitlines()]
    assert lines[1:] == [
        "pip install torch --index-url https://download.pytorch.org/whl/cpu",
        'pip install ".[figures]"',
    ]
    assert lines[0].startswith("git clone ")


def test_extras_exist() -> None:
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    named = {name for document in DOCUMENTS for name in re.findall(r"\"\.\[(\w+)\]\"", document.read_text())}
    assert {"figures", "align", "video", "ray"} <= named <= set(extras)


def test_the_workflow_needs_no_file_and_no_package_that_is_not_there() -> None:
    """setup-python's cache wants a file of requirements; the project is in no package index."""
    blocks = FENCE.findall(text_of("docs/continuous-integration.md"))
    (workflow,) = (block for language, block in blocks if language == "yaml")
    assert not re.search(r"cache: *[\"']?pip", workflow)
    installed = re.findall(r"pip install (\"[^\"]+\"|\S+)", workflow)
    assert installed == ['"fernoise-bench @ $FERNOISE"']
    named = set(re.findall(r"\bsteps\.([a-z]+)\.", workflow))
    assert named == set(re.findall(r"^ +id: ([a-z]+)$", workflow, flags=re.MULTILINE))
    (line,) = re.findall(r"- run: \.venv/bin/(fernoise-bench .*)", workflow)
    assert parsed(line)[1].params["methods"] == ("mine.py:Mine",)


# --- links, paths, tables


def anchors_of(document: Path) -> set[str]:
    """The anchors of a document's headings, as they are made where Markdown is shown."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(prose_of(document)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        place = (document.parent / path).resolve() if path else document
        assert place.exists(), f"{name_of(document)}: {target} is not there"
        assert place.is_relative_to(ROOT), f"{name_of(document)}: {target} leaves the repository"
        if anchor:
            assert anchor in anchors_of(place), f"{name_of(document)}: {target} has no such heading"


@every_document
def test_paths_exist(document: Path) -> None:
    """Whatever is set as code and begins with a folder of the repository."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".venv")}
    for code in CODE.findall(prose_of(document)):
        if re.fullmatch(r"\.?[\w-]+/[\w./-]*", code) and code.split("/")[0] in folders:
            place = ROOT / code
            assert place.exists(), f"{name_of(document)}: {code} is not there"
            assert not code.endswith("/") or place.is_dir()


def test_every_page_is_in_the_index() -> None:
    linked = set(LINK.findall(text_of("docs/README.md")))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= linked


def test_the_map_has_every_folder() -> None:
    text = section("CONTRIBUTING.md", "The map")
    rooms = [room for package in ROOT.glob("*/__init__.py") for room in package.parent.rglob("__init__.py")]
    missing = [folder for room in rooms if f"`{(folder := name_of(room.parent))}/`" not in text]
    assert not missing


@every_document
def test_tables_are_well_formed(document: Path) -> None:
    block: list[int] = []
    for line in [*FENCE.sub("", document.read_text(encoding="utf-8")).splitlines(), ""]:
        if line.startswith("|"):
            block.append(len(re.findall(r"(?<!\\)\|", line)))
            assert len(block) != 2 or re.fullmatch(r"[|:\- ]+", line), f"{name_of(document)}: {line}"
        elif block:
            assert len(block) > 2
            assert len(set(block)) == 1, f"{name_of(document)}: a table with rows of {set(block)} cells"
            block = []


def test_the_pictures_are_small() -> None:
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < 200_000


# --- the README's tables and examples


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 230


def test_the_methods_table_is_the_registry() -> None:
    rows = {cells[0].strip("`"): cells for cells in rows_of(section("README.md", "Methods"))}
    specs = {spec.name: spec for spec in registry.all_base() if spec.name in registry.METHODS}
    assert set(rows) == set(specs)
    words = {
        "noise_rate": "true noise rate †", "transition": "true transition †", "verified": "verified rows",
        "aux": "AU labels by OpenFace", "votes": "all annotators' votes ⊕", "annotators": "single annotators' labels ⊕",
    }  # fmt: skip
    tasks = {("single",): "expressions", ("multi",): "AUs", ("multi", "single"): "both"}
    for name, (_, paper, venue, year, task, extra) in rows.items():
        needs = specs[name].needs
        assert task == tasks[tuple(sorted(needs & {"single", "multi"}))], name
        assert extra == (", ".join(text for need, text in words.items() if need in needs) or "–"), name
        assert ("https://" in paper) == (venue != "–") == bool(re.fullmatch(r"(19|20)\d\d", year)), name


def protocol_rows() -> Iterator[tuple[list[str], list[str]]]:
    """(protocols, cells) of each row; `:variant` is one of the row's first protocol."""
    for cells in rows_of(section("README.md", "Protocols")):
        first, *others = CODE.findall(cells[0])
        yield [first, *(first + name if name.startswith(":") else name for name in others)], cells


def test_the_protocols_table_has_every_protocol_once() -> None:
    names = [name for row, _ in protocol_rows() for name in row]
    assert sorted(names) == sorted(PROTOCOLS)


def test_the_protocols_table_is_the_catalogue() -> None:
    for names, (_, labels, _, papers) in protocol_rows():
        for name in names:
            protocol = PROTOCOLS[name]
            assert labels.startswith(f"{len(protocol.names)} {'expressions' if protocol.kind == 'single' else 'AUs'}")
            if protocol.folds and not name.endswith(":tune"):
                assert f", {len(protocol.folds)} " in labels
        about = dict(PROTOCOLS[names[0]].about)["papers"]
        known = {paper for paper in ("Co-curing", "ULC-AG", "ReCoT", "MLCR", "RHLS") if paper in about}
        assert known == set(papers.split(", ")) - {"–"}, names


def test_the_method_of_the_readme_is_the_file() -> None:
    ((_, block),) = (found for found in FENCE.findall(text_of("README.md")) if found[0] == "python")
    example = text_of("docs/examples/my_method.py")
    assert block == example
    lines = [line for line in example.splitlines() if line.strip() and not line.strip().startswith(('"""', "#"))]
    assert len(lines) <= 20


def test_the_citation_is_the_one_of_the_file() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    (title,) = re.findall(r'^title: "(.+)"$', text_of("CITATION.cff"), flags=re.MULTILINE)
    assert f"\nversion: {version}\n" in text_of("CITATION.cff")
    entry = section("README.md", "Citation")
    assert f"title  = {{{title}}}" in entry
    assert f"Version {version}" in entry


# --- the pages


def test_your_data_has_every_data_set_and_file_of_weights() -> None:
    text = section("docs/your-data.md", "Where files go")
    assert all(f"| `{name}/` |" in text for name in DATA_SETS)
    weights = re.findall(r"`([\w.]+\.(?:pth|tar|pt|safetensors))`", text)
    assert weights
    assert all(name in MSCELEB_FILES or name.startswith(VGGFACE2_STEM) for name in weights)


def test_the_papers_page_has_every_table_figure_and_verdict() -> None:
    text = text_of("docs/papers-tables.md")
    assert all(f"`{name}`" in text for name in (*TABLE_IDS, *FIGURES))
    assert [row[0] for row in rows_of(section("docs/papers-tables.md", "Claims"))] == list(VERDICTS)


def test_the_page_on_numbers_has_every_rule_and_profile() -> None:
    rules = [row[0].replace(" ", "_") for row in rows_of(section("docs/what-a-number-means.md", "Which epoch counts"))]
    assert rules == list(RULES)
    assert all(f"`{profile}`" in text_of("docs/what-a-number-means.md") for profile in PROFILES)
    assert all(f"- `{profile}`: " in text_of("README.md") for profile in PROFILES)


def test_how_many_pairs_a_family_needs_is_as_the_page_says() -> None:
    text = text_of("docs/what-a-number-means.md")
    assert "Five pairs never can; eight can carry a family of at most six comparisons" in text
    assert pairs_needed(1) > 5
    assert pairs_needed(6) <= 8 < pairs_needed(7)


def test_the_page_on_ci_has_every_result_of_a_check() -> None:
    found = [row[0] for row in rows_of(text_of("docs/continuous-integration.md"))]
    assert sorted(found) == sorted(STATUSES)
