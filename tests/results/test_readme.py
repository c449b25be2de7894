"""Every number of the README and of docs/leaderboard.md, worked out again from the records that ship."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev

import pytest
from tabulate import tabulate

from fernoise_bench.results.analysis.comparisons import Comparison, against_supervised, predeclared
from fernoise_bench.results.analysis.grouping import Block
from fernoise_bench.results.analysis.ranking import spearman
from fernoise_bench.results.analysis.view import Expected, View, oracle_knowledge, view_of
from fernoise_bench.results.records.record import Record, audit_of
from fernoise_bench.results.statistics import pairs_needed
from fernoise_bench.results.tables.rank_tables import agreements_with

ROOT = Path(__file__).parents[2]
TIMED_ON = "CPU, AVX512"  # what the leaderboard names: seconds of other machines do not count
PROTOCOLS = ("fer2013-real", "ferplus-sym")
LEVELS = (None, 0.4)  # theirs
BASELINE = "supervised"
SHORT = [
    "method",
    "real noise: last epoch",
    "real noise: best test epoch",
    "40 % noise: last epoch",
    "40 % noise: best test epoch",
]
PRETRAINED = "trained on faces first, real noise: last epoch"
TWINS = ("instance-dependent", "class-conditional", "symmetric")
VOTES = ("ferplus-votes:1", "ferplus-votes:1-instance", "ferplus-votes:1-confusion", "ferplus-votes:1-symmetric")
WHOLE = [*SHORT[:3], "real noise: memorised", *SHORT[3:], "40 % noise: memorised", "seconds a trial"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def words_of(name: str) -> str:
    """A document in one line, as a sentence may be broken anywhere."""
    return " ".join(text_of(name).split())


def chosen(records: list[Record], protocol: str, method: str) -> list[Record]:
    return [r for r in records if (r.protocol, r.method) == (protocol, method)]


def percent(records: list[Record], rule: str) -> list[float]:
    return [100 * record.scores[rule].headline for record in records]


def last(records: list[Record]) -> float:
    return fmean(percent(records, "last"))


def memorised(records: list[Record]) -> str:
    """Of the wrong training labels, those that are predicted as given after the last epoch."""
    shares = [record.audit_share("memorised", "predicted_wrong") for record in records]
    known = [100 * share for share in shares if share is not None]
    return f"{fmean(known):.0f} %" if known else "–"


def cells(records: list[Record], *, best: bool) -> tuple[str, str]:
    """(last epoch ± over seeds, best test epoch), the first in bold where it is the best."""
    mean = f"{last(records):.2f} ± {stdev(percent(records, 'last')):.2f}"
    return f"**{mean}**" if best else mean, f"{fmean(percent(records, 'oracle')):.2f}"


def ranked(records: list[Record], protocol: str) -> list[str]:
    """The methods, best last epoch first, those with the same one by name."""
    return sorted({r.method for r in records}, key=lambda method: (-last(chosen(records, protocol, method)), method))


def is_rising(records: list[Record]) -> bool:
    """Whether the last epoch is more than a point above the mean of the last five."""
    return last(records) - fmean(percent(records, "last_five")) > 1


def named(*groups: list[Record]) -> str:
    """A method with the marks that its trials have in one of the groups."""
    name = groups[0][0].method + " †" * any(map(oracle_knowledge, groups))
    return name + " ↗" * any(map(is_rising, groups))


def short_row(records: list[Record], method: str) -> list[str]:
    groups = [chosen(records, protocol, method) for protocol in PROTOCOLS]
    best = [ranked(records, protocol)[0] == method for protocol in PROTOCOLS]
    real, made = (cells(group, best=first) for group, first in zip(groups, best, strict=True))
    return [named(*groups), *real, *made]


def whole_row(records: list[Record], method: str) -> list[str]:
    real, made = (chosen(records, protocol, method) for protocol in PROTOCOLS)
    timed = [record for record in (*real, *made) if record.environment.device == TIMED_ON]
    seconds = fmean(record.status.seconds for record in timed)
    row = short_row(records, method)
    return [*row[:3], memorised(real), *row[3:], memorised(made), f"{seconds:.0f}"]


def markdown(rows: list[list[str]], headers: list[str]) -> str:
    align = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


@pytest.fixture
def ships(reference: tuple[list[Record], list[str]]) -> list[Record]:
    """Every record that ships."""
    found, damaged = reference
    assert not damaged
    return found


@pytest.fixture
def records(ships: list[Record]) -> list[Record]:
    """Those on real faces, on the small network."""
    return [record for record in ships if record.protocol in PROTOCOLS and record.identity.profile == "small"]


@pytest.fixture
def transfer(ships: list[Record]) -> list[Record]:
    """Those on a network trained on faces first."""
    return [record for record in ships if record.identity.profile == "transfer"]


# --- the README


def test_the_readmes_table_has_the_seven_best_and_plain_training(records: list[Record], transfer: list[Record]) -> None:
    methods = ranked(records, PROTOCOLS[0])
    rows = [short_row(records, method) for method in (*methods[:7], BASELINE)]
    for row, method in zip(rows, (*methods[:7], BASELINE), strict=True):
        row.insert(1, f"{last(chosen(transfer, PROTOCOLS[0], method)):.2f}")
    table = markdown(rows, [SHORT[0], PRETRAINED, *SHORT[1:]])
    assert f"\n\n{table}\n\n" in text_of("README.md"), f"the README's table is now\n{table}"
    assert f"[All {len(methods)}, with" in text_of("README.md")


def test_what_the_readme_says_of_its_numbers(records: list[Record]) -> None:
    text = words_of("README.md")
    seeds = {len(chosen(records, protocol, method)) for protocol in PROTOCOLS for method in ranked(records, protocol)}
    assert f"± the standard deviation over {seeds.pop()} seeds" in text
    assert not seeds
    counts = [audit_of(record.epochs[-1]) for record in chosen(records, PROTOCOLS[0], BASELINE)]
    wrong = fmean(100 * count.wrong / count.entries for count in counts)
    assert f"FER2013's own labels, of which {wrong:.0f} % differ from that majority" in text
    (size,) = {record.identity.settings.recipe.epochs for record in records}
    assert f"on 4,000 faces of 48 px for {size} epochs" in text


def test_what_the_readme_says_of_plain_training(records: list[Record]) -> None:
    def gap(method: str) -> float:
        trials = chosen(records, PROTOCOLS[1], method)
        return fmean(percent(trials, "oracle")) - last(trials)

    text = words_of("README.md")
    assert f"the last adds {gap(BASELINE):.0f} points to plain training, and less than one to Co-curing" in text
    assert 0 <= gap("cocuring") < 1
    plain, cocuring = (memorised(chosen(records, PROTOCOLS[1], method)) for method in (BASELINE, "cocuring"))
    assert f"plain training predicts {plain} of the wrong training labels as given, and Co-curing {cocuring}" in text
    methods = ranked(records, PROTOCOLS[0])
    below = len(methods) - 1 - methods.index(BASELINE)
    assert f"On real noise, {below} of the {len(methods) - 1} other methods end below plain training" in text


# --- the leaderboard on real faces


def test_the_whole_table_is_what_the_records_say(records: list[Record]) -> None:
    table = markdown([whole_row(records, method) for method in ranked(records, PROTOCOLS[0])], WHOLE)
    assert f"\n\n{table}\n\n" in text_of("docs/leaderboard.md"), f"the table of docs/leaderboard.md is now\n{table}"


def test_the_seeds_and_trials_are_those_that_ship(
    ships: list[Record], records: list[Record], transfer: list[Record]
) -> None:
    text = words_of("docs/leaderboard.md")
    seeds = len({record.identity.seed for record in records})
    assert f"± the standard deviation over {seeds} seeds" in text
    assert text.count(f"--seeds {seeds} --all-methods \\ --method cocuring:no-relabel") == len(PROTOCOLS)
    assert f"{len(records)} trials on real faces" in text
    made = [record for record in ships if record.identity.source == "generated"]
    assert f"{len(made)} trials on generated faces" in text
    assert f"{len(transfer)} trials of `fer2013-real` at the profile `transfer`" in text
    votes = [record for record in ships if record.protocol in VOTES]
    assert len(ships) == len(records) + len(made) + len(transfer) + len(votes)
    assert f"{len(votes)} more trials on real faces, of one seed" in text
    assert {record.identity.seed for record in votes} == {0}


def test_the_table_of_the_network_trained_on_faces_is_what_the_records_say(transfer: list[Record]) -> None:
    assert {(record.protocol, record.identity.seed) for record in transfer} == {(PROTOCOLS[0], 0)}
    rows = []
    for method in ranked(transfer, PROTOCOLS[0]):
        own = chosen(transfer, PROTOCOLS[0], method)
        marks = " †" * bool(oracle_knowledge(own)) + " ↗" * is_rising(own)
        (best,) = percent(own, "oracle")
        rows.append(f"| {method}{marks} | {last(own):.2f} | {best:.2f} | {memorised(own)} |")
    assert "\n".join(rows) in text_of("docs/leaderboard.md")
    low, high = min(map(last, ([each] for each in transfer))), max(map(last, ([each] for each in transfer)))
    assert f"reach {low:.0f} to {high:.0f} % under real noise" in words_of("README.md")
    by = {record.method: 100 * record.scores["last"].headline for record in transfer}
    assert min(by["elr"], by["mixup"], by["scn"]) > by["cocuring"] > by["supervised"]
    assert by["supervised"] > max(by["sce"], by["gce"], by["dividemix"])
    later = [by[name] for name in ("disc", "volminnet", "man", "resup", "nla", "sop")]
    assert min(later) > by["supervised"] > max(by["cores"], by["forward_correction"])
    assert f"ends {by['equal_compute'] - by['supervised']:.1f} points above plain" in text_of("docs/leaderboard.md")
    wrong = {r.method: r.audit_share("memorised", "predicted_wrong") for r in transfer}
    shares = {method: share for method, share in wrong.items() if share is not None}
    assert (min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)) == ("man", "equal_compute")


def test_how_alike_two_networks_rank_the_methods(records: list[Record], transfer: list[Record]) -> None:
    both = [method for method in ranked(records, PROTOCOLS[0]) if chosen(transfer, PROTOCOLS[0], method)]
    small, pretrained = ([last(chosen(each, PROTOCOLS[0], method)) for method in both] for each in (records, transfer))
    alike = f"{spearman(small, pretrained):.2f}"
    text = words_of("docs/leaderboard.md")
    assert f"over the {len(both)} methods that both have, Spearman's rank correlation is {alike}" in text
    assert f"(rank correlation {alike}, one seed)" in words_of("README.md")


def test_what_is_said_of_the_estimated_shares_of_wrong_labels(transfer: list[Record]) -> None:
    def errors(method: str) -> list[float]:
        (record,) = chosen(transfer, PROTOCOLS[0], method)
        return [line.transition_error for line in record.epochs]

    assumed, *_, estimated = errors("forward_correction")  # no noise before there is an estimate
    text = words_of("docs/leaderboard.md")
    assert f"further from the truth ({estimated:.2f}) than assuming no noise at all ({assumed:.2f})" in text
    assert f"gets to {errors('volminnet')[-1]:.2f}" in text


def test_people_and_synthetic_noise_of_the_same_rate(ships: list[Record]) -> None:
    text = text_of("docs/leaderboard.md")
    rows = []
    for method in ranked([record for record in ships if record.protocol == VOTES[0]], VOTES[0]):
        groups = [chosen(ships, protocol, method) for protocol in VOTES]
        marked = named(*(group for group in groups if group))
        rows.append([marked, *(f"{last(group):.2f}" if group else "–" for group in groups)])
    table = markdown(rows, ["method", "one vote", *(f"{kind} twin" for kind in TWINS)])
    assert f"\n\n{table}\n\n" in text, f"the table of votes is now\n{table}"
    for protocol, kind in zip(VOTES[1:], TWINS, strict=True):
        (found,) = agreements_with(view(ships, VOTES[0]), [r for r in ships if r.protocol == protocol], "last")
        said = f"{found.tau:.2f} ({found.low:.2f} to {found.high:.2f}) with the {kind} twin"
        assert said in words_of("docs/leaderboard.md"), said
    gains = [last(chosen(ships, name, "cores")) - last(chosen(ships, name, BASELINE)) for name in VOTES]
    assert max(gains[:3]) < 0
    assert f"{gains[3]:.0f} points above it under symmetric noise" in words_of("docs/leaderboard.md")


def view(records: list[Record], protocol: str) -> View:
    return view_of(Block(tuple(r for r in records if r.protocol == protocol)), Expected())


def against_the_ensemble(found: Comparison) -> tuple[str, str]:
    side = "ahead" if found.mean > 0 else "behind"
    seeds = f"({found.wins} of {len(found.differences)} seeds, p = {found.adjusted:.3f})"
    return f"{abs(100 * found.mean):.1f} points {side}", seeds


def test_what_is_said_of_the_comparisons(records: list[Record]) -> None:
    """Those with the ensemble as they came out; those with plain training where none could be significant."""
    text = words_of("docs/leaderboard.md")
    families = [predeclared(view(records, protocol)) for protocol in PROTOCOLS]
    for name, (real, made) in zip(("Co-curing", "ULC-AG without its branch"), zip(*families, strict=True), strict=True):
        (much, real_seeds), (more, made_seeds) = against_the_ensemble(real), against_the_ensemble(made)
        assert f"{name} is {much} on real noise {real_seeds} and {more} under 40 % noise {made_seeds}" in text
    plain = [against_supervised(view(records, name), level) for name, level in zip(PROTOCOLS, LEVELS, strict=True)]
    seeds, family = {one.asked for each in plain for one in each.values()}, {len(each) for each in plain}
    assert not any(one.can_decide for each in plain for one in each.values())
    said = f"there are {family.pop()} comparisons with plain training, and {seeds.pop()} seeds are too few for so many"
    assert f"{said}: {pairs_needed(len(plain[0]))} seeds could decide" in text
    assert not family
    assert not seeds


# --- the leaderboard on generated faces


def f1_row(records: list[Record], protocol: str, method: str) -> list[str]:
    """A method's mean F1 over folds, ± over seeds."""
    trials = chosen(records, protocol, method)
    seeds = sorted({record.identity.seed for record in trials})
    means = [last([record for record in trials if record.identity.seed == seed]) for seed in seeds]
    return [named(trials), f"{fmean(means):.1f} ± {stdev(means):.1f}" if len(means) > 1 else f"{means[0]:.1f}"]


def test_the_table_on_generated_faces_is_what_the_records_say(ships: list[Record]) -> None:
    mine = [record for record in ships if record.protocol == "bp4d-3fold"]
    rows = [f1_row(ships, "bp4d-3fold", method) for method in ranked(mine, "bp4d-3fold")]
    table = markdown(rows, ["method", "mean F1"])
    assert f"\n\n{table}\n\n" in text_of("docs/leaderboard.md"), f"the second table is now\n{table}"


def test_recot_is_last_as_printed_and_not_with_a_summed_loss(ships: list[Record]) -> None:
    text = words_of("docs/leaderboard.md")
    for protocol in ("bp4d-3fold", "emotionet-3split"):
        mine = [record for record in ships if record.protocol == protocol]
        base = [record for record in mine if ":" not in record.method]
        assert ranked(base, protocol)[-1] == "recot"
    printed, summed = (f1_row(ships, "emotionet-3split", name)[1] for name in ("recot", "recot:sum"))
    assert f"from {printed} to {summed}" in text


def test_refinement_and_the_graph_do_what_is_said_of_them(ships: list[Record]) -> None:
    """Of the labels ReCoT's two networks train on, half are those of the noisy rows, as many as verified ones."""
    text = words_of("docs/leaderboard.md")
    found = chosen(ships, "emotionet-3split", "recot")
    starts = [next(line for line in record.epochs if audit_of(line).changed) for record in found]
    audits = [audit_of(line) for line in starts]
    changed, noisy = (
        sum(count) for count in zip(*((a.changed or 0, (a.targets or 0) / 2) for a in audits), strict=True)
    )
    wrong = sum((a.changed or 0) - (a.changed_right or 0) for a in audits)
    assert f"it changes {100 * changed / noisy:.0f} % of the noisy ones" in text
    assert f"{100 * wrong / changed:.0f} % of these changes are wrong" in text
    curves = [
        [record.headline_at(epoch) for epoch in range(len(record.epochs))]
        for record in chosen(ships, "emotionet-3split", "mlcr")
    ]
    mean = [100 * fmean(epoch) for epoch in zip(*curves, strict=True)]
    fall = max(range(1, len(mean)), key=lambda epoch: mean[epoch - 1] - mean[epoch])
    assert f"MLCR falls from {mean[fall - 1]:.1f} to {mean[fall]:.1f} on `emotionet-3split`" in text
