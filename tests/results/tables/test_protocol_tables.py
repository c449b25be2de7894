from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.analysis import grouping as cells
from fernoise_bench.results.records import record as records
from fernoise_bench.results.records.record import Score
from fernoise_bench.results.records.schema import NOT_WRITTEN
from fernoise_bench.results.tables import protocol_tables as tables
from fernoise_bench.results.tables.protocol_tables import Expected, audit_table, long_table, protocol_table
from fernoise_bench.results.tables.render import render

from ..claimed import au_runs
from ..fabricate import Trial, epoch_line, fabricate_all, record_of

AU = Trial(kind="multi", protocol="bp4d-3fold", level=None, copies=0, validation=False)


def made(trial, headline=0.5, per_label=(0.1, 0.2, 0.3), mean_class=0.4):
    """A record with these scores, without a disk."""
    scores = {}
    if trial.state == "done":
        score = Score(headline, per_label, mean_class)
        scores = {"last": score, "last_five": score, "oracle": replace(score, headline=headline + 0.1)}
        scores["validation"] = replace(score, headline=headline + 0.02) if trial.validation else None
    return record_of(trial, scores)


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def test_a_method_that_has_come_to_rest_is_named():
    idle = made(Trial(method="decoupling", seed=0))
    idle = replace(idle, epochs=(epoch_line(compute={"forwards": 250, "backwards": 0}, loss=None),))
    (table,) = protocol_table([idle, made(Trial(method="decoupling", seed=1)), made(Trial(method="a"))])
    assert "decoupling: the last epoch updated no weights in 1 of 2 trials." in table.notes
    assert not any(note.startswith("a:") for note in table.notes)


def test_a_method_with_networks_of_its_own_is_named_and_not_said_to_rest():
    """Passes are counted in encoders of the protocol, of which it has none."""
    own = made(Trial(method="mine", networks=0))
    own = replace(own, epochs=(epoch_line(compute={"forwards": 0, "backwards": 0}, loss=0.5),))
    (table,) = protocol_table([own])
    assert (
        "mine: in 1 of 1 trials networks of its own in place of the protocol's encoder: not comparable." in table.notes
    )
    assert not any("updated no weights" in note for note in table.notes)


def tables_of(record, form):
    return render(protocol_table([record]), form)


def test_methods_by_levels_worked_by_hand():
    values = {
        ("a", 0.2): (0.5, 0.6, 0.7),
        ("a", 0.4): (0.1, 0.1, 0.1),
        ("b", 0.2): (0.61, 0.61, 0.61),
        ("b", 0.4): (0, 0, 0),
    }
    found = [
        made(Trial(method=method, level=level, seed=seed), headline)
        for (method, level), headlines in values.items()
        for seed, headline in enumerate(headlines)
    ]
    (table,) = protocol_table(found)
    assert table.title == "ferplus-sym@1: accuracy in %, last epoch, small profile, real faces"
    assert table.columns == ("method", "noise 0.2", "noise 0.4", "unstated")
    assert texts(table) == [
        ["a", "60.00 ± 10.00", "10.00 ± 0.00", "0"],
        ["b", "61.00 ± 0.00", "0.00 ± 0.00", "0"],
    ]
    assert [cell.best for cell in column(table, "noise 0.2")] == [False, True]
    cell = table.rows[0][1]
    assert (cell.value, cell.n_ok, cell.n_all) == (pytest.approx(60), 3, 3)
    assert cell.spread == pytest.approx(10)


def test_action_units_average_folds_before_pairs():
    # seed 0: folds 0.2, 0.4 -> 0.3; seed 1: folds 0.6, 0.6 -> 0.6
    headlines = {("part1", 0): 0.2, ("part2", 0): 0.4, ("part1", 1): 0.6, ("part2", 1): 0.6}
    found = [
        made(replace(AU, fold=fold, seed=seed), headline, per_label=(headline, 0.5, 0.0))
        for (fold, seed), headline in headlines.items()
    ]
    (table,) = protocol_table(found)
    assert table.columns == ("method", "AU1", "AU2", "AU12", "mean", "unstated")
    assert texts(table) == [["supervised", "45.0", "50.0", "0.0", "45.0 ± 21.2", "0"]]
    assert table.rows[0][4].spread == pytest.approx(100 * 0.3 / 2**0.5)
    assert "F1 in %" in table.title
    assert any("Folds: part1, part2" in note for note in table.notes)
    assert any("over 2 (seed, draw) pairs" in note for note in table.notes)


def test_a_pair_that_lacks_a_fold_does_not_enter():
    found = [
        made(replace(AU, fold=fold, seed=seed), 0.1 + seed)
        for fold, seed in itertools.product(("part1", "part2"), (0, 1))
        if (fold, seed) != ("part2", 1)
    ]
    (table,) = protocol_table(found)
    mean = column(table, "mean")[0]
    assert mean.text == "10.0 (1/2, 1 incomplete)"
    assert (mean.n_ok, mean.n_all, mean.status) == (1, 2, "1/2, 1 incomplete")
    assert column(table, "AU1")[0].text == "10.0‡"
    (only,) = protocol_table(found, Expected(folds=("part1",)))
    assert column(only, "mean")[0].n_ok == 2
    (more,) = protocol_table(found, Expected(folds=("part1", "part2", "part3")))
    assert column(more, "mean")[0].text == "0/2, 2 incomplete"
    assert column(more, "AU1")[0].text == "–"


@pytest.mark.parametrize("state", ["diverged", "failed", "interrupted", "running"])
def test_a_failure_stays_and_is_never_best(state):
    found = [made(Trial(method="a", seed=seed), 0.9) for seed in (0, 1)]
    found.append(made(Trial(method="a", seed=2, state=state)))
    found += [made(Trial(method=method, seed=seed), 0.5) for method in ("b", "c") for seed in range(3)]
    (table,) = protocol_table(found)
    first, second, _ = column(table, "noise 0.2")
    assert first.text == f"90.00 ± 0.00 (2/3, 1 {state})"
    assert (first.best, second.best) == (False, True)
    assert any("not comparable" in note for note in table.notes)


def test_nothing_finished():
    found = [made(Trial(seed=seed, state=state)) for seed, state in enumerate(("diverged", "failed", "failed"))]
    (table,) = protocol_table(found)
    assert table.rows[0][1].text == "0/3, 1 diverged, 2 failed"
    assert table.rows[0][1].value is None
    bare = [replace(record, environment=NOT_WRITTEN) for record in found]
    assert protocol_table(bare)[0].rows[0][1].text == "0/3, 1 diverged, 2 failed"
    assert long_table(bare)[0].rows
    assert audit_table(bare)[0].rows


def test_methods_with_fewer_pairs_are_seen_to_have_fewer():
    found = [made(Trial(method="a", seed=seed)) for seed in range(3)] + [made(Trial(method="b", seed=0))]
    (table,) = protocol_table(found)
    assert table.rows[1][1].text == "50.00 (1/3, 2 not run)"
    (expected,) = protocol_table(found, Expected(pairs=[(seed, seed) for seed in range(4)]))
    assert expected.rows[0][1].status == "3/4, 1 not run"


def test_expected_rows_and_columns():
    expected = Expected(
        methods=["z", "recot", "a"], levels=[0.2, 0.4], not_applicable={"recot": "it needs verified rows", "a": "no"}
    )
    (table,) = protocol_table([made(Trial(method="b")), made(Trial(method="a"))], expected)
    assert texts(table) == [
        ["z", "0/1, 1 not run", "not run", "–"],
        ["a", "50.00", "not run", "0"],
        ["b", "50.00", "not run", "0"],
    ]
    assert "Not applicable: recot: it needs verified rows." in table.notes


def test_methods_that_cannot_run_are_noted_by_reason():
    refused = {"recot": "needs AUs", "eac": "needs one label", "rhls": "needs AUs"}
    expected = Expected(not_applicable=refused)
    (table,), (long,) = (build([made(Trial(method="a"))], expected) for build in (protocol_table, long_table))
    for each in (table, long):
        assert [row[0].text for row in each.rows] == ["a"]
        assert [note for note in each.notes if "applicable" in note] == [
            "Not applicable: recot, rhls: needs AUs; eac: needs one label."
        ]


def test_action_units_are_compared_by_subject():
    found = [*au_runs(0.9, seeds=5, method="recot"), *au_runs(0.6, seeds=5, method="supervised")]
    (table,) = long_table([replace(record, epochs=made(AU).epochs) for record in found])
    texts = {name: cell.text for name, cell in zip(table.columns, table.rows[0], strict=True)}
    assert (texts["p by subjects (Holm)"], texts["p by pairs (Holm)"]) == ("0.002", "0.062")
    assert texts["95% by subjects"].startswith("+")
    assert "p (Holm)" not in table.columns
    assert any("the test by subjects decides" in note for note in table.notes)
    assert any(note.startswith("Power: 24 subjects decide") for note in table.notes)
    assert not any("cannot reach" in note for note in table.notes)


def test_oracle_knowledge_and_unstated_values_show():
    found = [
        made(Trial(method="a", oracle_knowledge=("noise_rate",), unstated=("tau", "lambda"))),
        made(Trial(method="b")),
    ]
    (table,) = protocol_table(found)
    assert [row[0].text for row in table.rows] == ["a †", "b"]
    assert [cell.text for cell in column(table, "unstated")] == ["2", "0"]
    assert "† uses oracle knowledge: a (noise_rate)." in table.notes


def test_versions_of_a_method_are_not_averaged():
    found = [made(Trial(seed=0, digest="old"), 0.1), made(Trial(seed=1, digest="new"), 0.9)]
    (table,) = protocol_table(found)
    assert len(table.rows) == 2
    assert all(row[0].text.startswith("supervised #") for row in table.rows)
    assert {row[1].text for row in table.rows} == {"10.00 (1/2, 1 not run)", "90.00 (1/2, 1 not run)"}
    assert any("a row for each version" in note for note in table.notes)


MIXED = [
    Trial(),
    Trial(seed=1, settings={"recipe": {"batch_size": 32}, "precision": "fp32"}),
    Trial(seed=2, source="generated"),
    Trial(seed=3, recipe="native", partial=True),
]


@pytest.mark.parametrize("build", [protocol_table, long_table, audit_table])
def test_what_is_not_comparable_shares_no_table(build):
    found = [made(trial) for trial in MIXED]
    fields = r"differ in: partial, recipe, settings\.recipe\.batch_size, source; choose with --recipe and --synthetic"
    with pytest.raises(BadInput, match=fields):
        build(found)
    apart = build(found, allow_mixed=True)
    assert len(apart) == 4
    assert "settings.recipe.batch_size = 64" in apart[0].title
    assert "generated faces" in apart[2].title
    assert "partial copy of the data, native recipe" in apart[3].title
    assert all(len(table.rows) == 1 for table in apart)


@pytest.mark.parametrize("build", [protocol_table, long_table, audit_table])
def test_no_records_is_an_error_that_says_what_to_do(build):
    with pytest.raises(BadInput, match="run some first"):
        build([])


def test_an_unknown_rule_is_named():
    with pytest.raises(BadInput, match="did you mean last"):
        protocol_table([made(Trial())], rule="lost")


def test_the_rule_chooses_the_score():
    found = [made(Trial(), 0.5)]
    values = {rule: protocol_table(found, rule=rule)[0].rows[0][1].text for rule in records.RULES}
    assert values == {"last": "50.00", "last_five": "50.00", "validation": "52.00", "oracle": "60.00"}
    assert "oracle" in protocol_table(found, rule="oracle")[0].title
    (none,) = protocol_table([made(Trial(validation=False))], rule="validation")
    assert none.rows[0][1].text == "–"


def test_the_long_table_worked_by_hand():
    (table,) = long_table([made(Trial(seed=seed, networks=2), 0.5 + 0.1 * seed) for seed in (0, 1)])
    row = {name: cell.text for name, cell in zip(table.columns, table.rows[0], strict=True)}
    assert row == {
        "method": "supervised",
        "noise": "0.2",
        "last": "55.00 ± 7.07",
        "last five": "55.00",
        "validation": "57.00",
        "oracle": "65.00",
        "oracle gap": "10.00",
        "selection leak": "8.00",
        "mean-class accuracy": "40.00",
        "without copies": "–",
        "− supervised": "–",
        "p (Holm)": "–",
        "seconds a trial (cpu)": "10.0",
        "forwards per training sample": "2.50",
        "networks": "2",
        "oracle knowledge": "none",
        "unstated": "0",
        "trials": "2 of 2",
    }


def test_time_columns_do_not_mix_devices():
    found = [made(Trial(seed=0)), made(Trial(seed=1, device="cuda")), made(Trial(method="b", device="cuda"))]
    (table,) = long_table(found)
    assert [cell.text for cell in column(table, "seconds a trial (cpu)")] == ["–", "10.0"]
    assert [cell.text for cell in column(table, "seconds a trial (cuda)")] == ["10.0", "10.0"]


def test_the_best_is_the_best_of_its_level():
    found = [
        made(Trial(method=method, level=level, seed=seed), value)
        for method, level, value in [("a", 0.2, 0.9), ("b", 0.2, 0.8), ("a", 0.4, 0.3), ("b", 0.4, 0.4)]
        for seed in range(2)
    ]
    (table,) = long_table(found)
    marked = [(row[0].text, row[1].text) for row in table.rows if row[table.columns.index("last")].best]
    assert marked == [("a", "0.2"), ("b", "0.4")]
    assert not any(cell.best for cell in column(table, "oracle gap"))


def test_trials_beyond_the_expected_ones_do_not_count():
    found = [made(replace(AU, fold=fold, seed=seed)) for fold in ("part1", "part2") for seed in range(3)]
    (table,) = long_table(found, Expected(pairs=[(0, 0)], folds=["part1"]))
    assert column(table, "trials")[0].text == "1 of 1"


def test_the_long_table_compares_with_supervised_on_common_pairs():
    ahead = [made(Trial(method="a", seed=seed), 0.6 + 0.01 * seed) for seed in range(6)]
    base = [made(Trial(seed=seed), 0.5) for seed in range(6)]
    less = [made(Trial(method="b", seed=seed), 0.5) for seed in range(3)]
    (table,) = long_table(ahead + base + less)
    assert [cell.text for cell in column(table, "− supervised")] == ["+12.50 ± 1.87", "+0.00 ± 0.00 (3/6)", "–"]
    assert [cell.text for cell in column(table, "p (Holm)")] == ["0.062", "1.000", "–"]
    assert any("Power: 6 pairs, 2 comparisons" in note for note in table.notes)


def test_levels_of_action_units_are_tables_apart():
    found = [made(replace(AU, level=level, fold="part1")) for level in (0.1, 0.3)]
    titles = [table.title for table in protocol_table(found)]
    assert ["noise 0.1" in title for title in titles] == [True, False]
    assert len(titles) == 2


def test_every_row_has_a_cell_for_each_column(tmp_path):
    trials = [
        replace(base, method=method, seed=seed, state=state)
        for base, method, (seed, state) in itertools.product(
            (Trial(level=0.2), Trial(level=0.4)), ("a", "b:c"), enumerate(("done", "done", "failed"))
        )
    ]
    fabricate_all(tmp_path, trials)
    found, damaged = records.load_records(tmp_path)
    assert not damaged
    expected = Expected(methods=["x"], not_applicable={"y": "no"})
    for build in (protocol_table, long_table, audit_table):
        for table in build(found, expected):
            assert all(len(row) == len(table.columns) for row in table.rows)
    (table,) = long_table(found)
    with_copies, last = column(table, "without copies")[0], column(table, "last")[0]
    assert with_copies.value is not None
    assert with_copies.value != last.value


def test_entries_keep_the_order_asked_for():
    found = [made(Trial(method=method)) for method in ("c", "a", "b")]
    assert [entry.label for entry in cells.entries(found, ["b", "z", "b"])] == ["b", "z", "a", "c"]


def test_tables_are_quick_to_import():
    tables = "fernoise_bench.results.tables"
    code = f"import sys; import {tables}.protocol_tables, {tables}.render; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "timm", "click", "matplotlib", "sklearn", "pandas"} & set(output)


def test_public_names_of_tables():
    assert {"Table", "Cell", "protocol_table", "long_table", "audit_table"} <= set(tables.__all__)


def test_a_method_alone_is_not_the_best():
    (table,) = protocol_table([made(Trial())])
    assert not any(cell.best for cell in table.rows[0])
    assert any("no spread" in note for note in table.notes)
