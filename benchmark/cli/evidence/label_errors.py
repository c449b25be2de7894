"""`label-errors`: prints how well the scores of trials find the wrong labels of their training rows."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ....protocols.errors import BadInput
from ..options.common import DATA_ROOT, JSON, METHODS_SHOWN, PROFILES, format_option
from ..options.records import RECIPE, SEVERAL_RUNS, Chosen, named_protocol, of_methods, records_of_protocol
from ..options.terminal import print_tables
from .suspects import Search, search, search_options

if TYPE_CHECKING:
    from ....protocols.base import Protocol
    from ....protocols.loading import Data
    from ....protocols.rows import Array
    from ....results.analysis.stored_findings import LabelFindings
    from ....results.records.record import Record
    from ....results.records.training_scores import TrainingScores
    from ....results.tables.cell import Table


@click.command("label-errors")
@click.argument("name", metavar="PROTOCOL", required=False)
@click.option("--protocol", metavar="NAME|FILE.toml", help="The protocol, as for run: the same as naming it alone.")
@SEVERAL_RUNS
@METHODS_SHOWN
@click.option("--profile", type=PROFILES, help="Use only trials of this profile.")
@click.option("--synthetic/--real", "synthetic", default=None, help="Use only trials on generated, or real, faces.")
@RECIPE
@DATA_ROOT
@click.option("--by-class", is_flag=True, help="Print tables by given class, or by AU, as well.")
@click.option("--lift", is_flag=True, help="Print a table of the lift at 1, 5 and 10 % of the labels as well.")
@click.option("--cleanlab", is_flag=True, help="Add the scores and the count of the package cleanlab, if installed.")
@click.option("--allow-mixed", is_flag=True, help="Print a block for each setting where the trials have several.")
@format_option("github", "latex", "csv", "json", "html")
@JSON
@search_options
def label_errors(
    name: str | None,
    protocol: str | None,
    runs: tuple[Path, ...],
    methods: tuple[str, ...],
    profile: str | None,
    synthetic: bool | None,
    recipe: str | None,
    data_root: Path,
    by_class: bool,
    lift: bool,
    cleanlab: bool,
    allow_mixed: bool,
    form: str,
    as_json: bool,
    **how: Any,
) -> None:
    """Look for wrong labels, or print how well each method finds them.

    With --out or --page: trains models on your data, and writes which training labels they doubt, with the label that
    they would give instead; no reference label is needed. Without: prints how well each method's trials find the wrong
    labels they were trained on. Scores are from the predictions in training, which each trial keeps; the reference
    labels are read from the data of the protocol.

    \b
    fernoise-bench label-errors --protocol mine.toml --method elr --out found.csv
    fernoise-bench label-errors mine.toml --page found.html --out-of-sample
    fernoise-bench label-errors ferplus-sym --method elr,supervised --by-class
    fernoise-bench label-errors ferplus-sym --lift --cleanlab
    """
    if not (named := protocol or name) or (protocol and name and protocol != name):
        raise BadInput("name one protocol: label-errors NAME, or label-errors --protocol FILE.toml")
    chosen = Chosen(runs, profile=profile, synthetic=synthetic, recipe=recipe)
    asked = Search(**how)
    _refuse_others(click.get_current_context(), asked.asked)
    if asked.asked:
        search(named, methods, chosen, data_root, asked)
        return
    shown = Shown(by_class, lift, allow_mixed, cleanlab)
    print_tables(_tables(named, chosen, methods, data_root, shown), "json" if as_json else form)


def _refuse_others(context: click.Context, searches: bool) -> None:
    """Raises BadInput for an option that was typed and has no effect in what was asked for."""
    of_search = {*Search.__dataclass_fields__} - {"out", "page"}
    of_tables = {"by_class", "lift", "allow_mixed", "cleanlab", "form", "as_json"}
    words = {each.name: each.opts[0] for each in context.command.params}
    typed = {name for name in words if name and context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if wrong := sorted(str(words[name]) for name in typed & (of_tables if searches else of_search)):
        whose = "prints tables, which --out and --page do not" if searches else "goes with --out or --page"
        raise BadInput(f"{wrong[0]} {whose}; leave it out{'' if searches else ', or name a file to write'}")
    if searches and len(context.params["runs"]) > 1:
        raise BadInput("--runs: trials are trained into one folder; name one")


@dataclass(frozen=True)
class Shown:
    """What is printed, as the options say."""

    by_class: bool
    lift: bool
    allow_mixed: bool
    cleanlab: bool


def _tables(named: str, chosen: Chosen, methods: tuple[str, ...], data_root: Path, shown: Shown) -> tuple[Table, ...]:
    """How well the trials of a protocol find their wrong labels."""
    from ....results.analysis.view import Expected
    from ....results.label_errors.cleanlab_scores import cleanlab_version
    from ....results.tables.probabilities.label_error_tables import label_error_tables

    version = cleanlab_version() if shown.cleanlab else ""
    name, protocol = named_protocol(named, chosen, what="protocol")
    if protocol is None:
        raise BadInput(f"{name} is known from trials alone: its reference labels cannot be read")
    mine = records_of_protocol(chosen.records(), name, chosen, protocol)
    records, _ = of_methods(mine, methods, f"the trials of {name}")
    known = _known(protocol, records, chosen.runs, data_root, cleanlab=shown.cleanlab)
    found, estimated = known.found, known.estimated
    if not found:
        raise BadInput(
            f"no trial of {name} has scores of its training rows: those of earlier versions have none, nor most that "
            "ship, and only finished trials do; run them again into another folder"
        )
    _name_others(records, found)
    return label_error_tables(
        [record for record in records if record.folder in found],
        found,
        Expected(folds=protocol.folds),
        estimated,
        by_class=shown.by_class,
        lift=shown.lift,
        allow_mixed=shown.allow_mixed,
        cleanlab=version,
    )


def _name_others(records: Sequence[Record], found: Collection[str]) -> None:
    if without := Counter(record.method for record in records if record.done and record.folder not in found):
        told = ", ".join(f"{method} ({count})" for method, count in sorted(without.items()))
        click.echo(f"left out, trials without scores of their training rows: {told}", err=True)


def _known(
    protocol: Protocol, records: Sequence[Record], runs: Sequence[Path], data_root: Path, *, cleanlab: bool
) -> LabelFindings:
    """What the scores of each trial find that is done and has some, and its estimates; of trials that ship, as they do.

    What was found is kept in the folders of the trials, for the page.
    """
    from ....protocols.loading import open_data
    from ....results.analysis.label_estimates import label_errors_of
    from ....results.analysis.stored_findings import LabelFindings, read_findings, write_findings
    from ....results.records import reference_leaderboard as shipped

    new: dict[Path, LabelFindings] = {}
    opened: Data | None = None
    for record in sorted(records, key=lambda each: (each.identity.source, each.identity.profile, each.folder)):
        folder, scores = _scores(record, runs)
        if scores is None:
            continue
        identity = record.identity
        if opened is None or not opened.serves(protocol, identity.profile, identity.source):
            opened = open_data(protocol, identity.profile, identity.source, data_root, partial=identity.partial)
        reference = _references(record, scores, opened)
        found = label_errors_of(scores, reference, len(protocol.names), cleanlab=cleanlab)
        mine = new.setdefault(folder, LabelFindings())
        mine.found[record.folder], mine.estimated[record.folder] = found
    whole = read_findings([shipped.FOLDER])
    for folder, mine in new.items():
        if not cleanlab:
            with contextlib.suppress(OSError):  # for the page; the table does without
                write_findings(folder, mine)
        whole = whole.joined(mine)
    return whole.only({record.folder for record in records if record.done})


def _scores(record: Record, runs: Sequence[Path]) -> tuple[Path, TrainingScores | None]:
    """The folder that has the training scores of a record, and these; None where there are none."""
    from ....results.records.training_scores import read_training_scores

    for folder in runs if record.done else ():
        if (scores := read_training_scores(folder / record.folder)) is not None:
            return folder, scores
    return Path(), None


def _references(record: Record, scores: TrainingScores, data: Data) -> Array:
    """The reference labels of a trial's training rows.

    Raises:
        BadInput: the data are not those that it was trained on.
    """
    import numpy as np

    identity = record.identity
    train = data.cell(record.fold, record.level, identity.draw, identity.noise_salt).train
    told = slice(None) if not data.protocol.noisy_labels_from else train.verified  # the others' are a teacher's
    if not np.array_equal(train.sample_id, scores.sample_id) or not np.array_equal(
        train.given[told], scores.given[told]
    ):
        raise BadInput(
            f"{record.folder}: the protocol's data are not those that this trial was trained on; name their folder "
            "with --data-root, or leave the trial out with --method, --profile or --runs"
        )
    return train.reference
