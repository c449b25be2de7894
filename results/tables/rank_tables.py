"""Ranks of methods with their significance, the pre-declared comparisons, and rank correlations between settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...protocols import catalog
from ...protocols.errors import BadInput, unknown
from ...protocols.vote_noise import TWIN_NOISE, VOTE_NOISE
from ..analysis.comparisons import (
    FAMILY_REFERENCE,
    LEAST_PAIRS,
    Comparison,
    Ranking,
    predeclared,
    rank_methods,
    ranked_pairs,
    ranked_scores,
)
from ..analysis.grouping import MISSING, grouped
from ..analysis.power import power_words
from ..analysis.ranking import group_letters, kendall, kendall_interval, spearman
from ..analysis.view import Expected, Rows, View, views_of
from ..records.record import RULES, Record
from .cell import Cell, Table, minus
from .comparison_cells import cells_of_comparison, columns_of_comparison, words_of_test
from .parts import label_cell, level_words, notes_of, title_of
from .protocol_tables import RULE_WORDS

RESAMPLES = 2_000
LEAST_METHODS = 4  # in common, for a correlation to be meaningful
LEAST_TO_TELL = 5  # methods: the chance that 5 have the same or the reversed order is 2 in 5!, below .05

AGREEMENT_COLUMNS = ("setting", "other setting", "methods", "Kendall τ", "95% interval", "Spearman ρ")
AGREEMENT_NOTE = (
    "Do two settings rank the methods alike? 1: the same order, 0: unrelated, −1: reversed. 95% interval: methods "
    "resampled (variants together with their method), so it covers new methods too; none for fewer than four "
    "methods. Random variation of the mean scores pulls the correlation towards 0."
)

_SEED = 20_240_229
# kinds of noise that come from annotators or automatic coders, as protocols name them
_REAL = ("votes", "fer2013", "annotators", "automatic annotation", "automatic coder")

Means = Mapping[str, float]


@dataclass(frozen=True)
class RankSetting:
    """Mean scores of the methods that finished every pair, at one protocol and noise level.

    Attributes:
        words: the protocol and the level.
        metric: "accuracy" or "f1".
        means: by label.
        kind: "synthetic", "real", or "" for what is neither (no wrong label, labels of a model).
        noise: of synthetic noise its level in words, such as "0.4"; of real noise its kind.
        pairs: (seed, draw) pairs the means are over; 0: unknown.
    """

    words: str
    metric: str
    means: Means
    kind: str = ""
    noise: str = ""
    pairs: int = 0


@dataclass(frozen=True)
class Agreement:
    """How alike two settings rank the methods they have in common.

    Attributes:
        left, right: the settings, in words.
        methods: how many they have in common.
        tau: Kendall's τ-b; low, high: its 95% interval over methods, NaN where there are too few.
        rho: Spearman's ρ.
        made, level, real: where synthetic noise is compared with real noise, the protocol and the level of the
            synthetic noise, and the real noise in words; else "".
        families: how many methods, a method and its variants counted once.
        pairs: the fewer of the two settings' (seed, draw) pairs.
    """

    left: str
    right: str
    methods: int
    tau: float
    low: float
    high: float
    rho: float
    made: str = ""
    level: str = ""
    real: str = ""
    families: int = 0
    pairs: int = 0

    @property
    def question(self) -> str:
        """The two settings in words where synthetic noise is compared with real noise; else ""."""
        return _asks(self.level, self) if self.real else ""

    @property
    def answer(self) -> str:
        """Whether the two agree: "agree", "are reversed", or "cannot tell" with the number of methods or seeds."""
        if self.pairs < LEAST_PAIRS:
            return "cannot tell from one seed"
        if self.families < LEAST_TO_TELL or math.isnan(self.low) or self.low <= 0 <= self.high:
            return f"cannot tell from {self.methods} methods"
        return "agree" if self.low > 0 else "are reversed"


def rank_tables(
    records: Sequence[Record],
    expected: Expected | None = None,
    *,
    others: Sequence[Record] = (),
    rule: str = "last",
    allow_mixed: bool = False,
) -> tuple[Table, ...]:
    """Ranks with significance groups, the pre-declared family, and rank correlations between settings.

    Args:
        records: of one protocol, at least one.
        expected: methods, levels, folds and pairs there should be.
        others: records of other protocols; those of the same profile, source, completeness and recipe are correlated.
        rule: the selection rule, one of RULES.
        allow_mixed: tables for each comparability key instead of a refusal.

    Returns:
        One to three tables a key; the family and the correlations only where there is anything to compare.

    Raises:
        BadInput: no records, an unknown rule, or several comparability keys (the differing fields are named).
    """
    if rule not in RULES:
        raise unknown("selection rule", rule, RULES)
    tables: list[Table] = []
    for view in views_of(records, expected, allow_mixed=allow_mixed):
        tables.append(_ranking_table(view, rule))
        rest = replace(view, not_applicable={})  # said once, below the first table
        if family := predeclared(rest, rule):
            tables.append(_family_table(rest, family, rule))
        rows = Rows() if expected is None else expected.rows
        if found := agreements_with(rest, others, rule, rows):
            tables.append(_agreement_table(rest, found, rule))
    return tuple(tables)


# --- ranks


def rankings(view: View, rule: str) -> tuple[tuple[str, Ranking], ...]:
    """A ranking for each noise level and, where there are several, over all of them; those without methods dropped."""
    found = [(level_words(level), rank_methods(view, (level,), rule)) for level in view.levels]
    if len(view.levels) > 1:
        found.append(("all levels", rank_methods(view, view.levels, rule)))
    return tuple((words, ranking) for words, ranking in found if ranking.labels)


def _ranking_table(view: View, rule: str) -> Table:
    found = rankings(view, rule)
    names = {entry.label: label_cell(view, entry) for entry in view.rows}
    rows = tuple(row for words, ranking in found for row in _ranking_rows(words, ranking, names))
    notes = [
        "Mean rank: 1 is best; the mean over noise levels and (seed, draw) pairs. First: how often the method has the "
        "highest mean score when pairs are resampled. Group: methods that share a letter do not differ significantly "
        "(Nemenyi's test, α = .05, pairs as blocks).",
    ]
    if view.metric == "f1":
        notes.append("These ranks cover variation over training runs, not over subjects, which the comparisons do.")
    for words, ranking in found:
        where = f"{words}: " if len(found) > 1 else ""
        notes += [f"{where}{told}"[:1].upper() + f"{where}{told}"[1:] for told in _ranking_notes(ranking)]
    title = title_of(view, f"ranks by {view.metric_words}, {RULE_WORDS[rule]}")
    columns = ("setting", "method", "mean rank", "first", "group")
    return Table(title, columns, rows, notes_of(view, notes, rows), headers=2)


def _ranking_notes(ranking: Ranking) -> list[str]:
    """Which differences of ranks are significant with so many pairs, and which methods are not ranked."""
    notes = []
    if ranking.pairs < LEAST_PAIRS:
        notes.append(f"one seed: no ranking; {LEAST_PAIRS} (seed, draw) pairs are needed, found {ranking.pairs}.")
    elif ranking.critical >= len(ranking.labels) - 1:
        notes.append(f"{_pairs(ranking)} are too few for any two of these methods to differ significantly.")
    elif not math.isnan(ranking.critical):
        notes.append(f"mean ranks differ significantly if over {ranking.critical:.1f} apart; {_pairs(ranking)}.")
    if ranking.set_aside:
        more = f"{ranking.set_aside} more pair{'s' * (ranking.set_aside != 1)}"
        notes.append(f"{more} not counted, since most methods have no trial of them.")
    if ranking.left_out:
        notes.append(f"not ranked, pairs are missing: {', '.join(ranking.left_out)}.")
    return notes


def _ranking_rows(words: str, ranking: Ranking, names: Mapping[str, Cell]) -> list[tuple[Cell, ...]]:
    marks = group_letters(ranking.groups, len(ranking.labels))
    return [
        (Cell(words), names[label], _number(rank, 1), _number(first, 2), Cell(mark or MISSING))
        for label, rank, first, mark in zip(ranking.labels, ranking.mean_ranks, ranking.first, marks, strict=True)
    ]


def _pairs(ranking: Ranking) -> str:
    return f"{ranking.pairs} (seed, draw) pair{'s' * (ranking.pairs != 1)}"


# --- the pre-declared family


def _family_table(view: View, family: Sequence[Comparison], rule: str) -> Table:
    by_subject = any(found.by_subject is not None for found in family)
    names = {entry.label: label_cell(view, entry) for entry in view.rows}
    rows = tuple((names[found.label], *cells_of_comparison(found, by_subject)) for found in family)
    notes = [
        f"Difference of {view.metric_words} in points from {FAMILY_REFERENCE}, two networks with averaged predictions; "
        f"mean over the noise levels that all have. {words_of_test(family, view.metric, 'this family')}",
        power_words(family),
    ]
    title = title_of(view, f"pre-declared comparisons, {RULE_WORDS[rule]}")
    columns = ("method", f"− {FAMILY_REFERENCE}", *columns_of_comparison(by_subject))
    return Table(title, columns, rows, notes_of(view, [note for note in notes if note], rows))


# --- agreement of settings


def settings_of(view: View, rule: str) -> tuple[RankSetting, ...]:
    """The settings of a view, one a noise level, with the mean score of each method that can be ranked there."""
    found = []
    for level in view.levels:
        words = view.protocol if level is None else f"{view.protocol}, {level_words(level)}"
        pairs = ranked_pairs(view, (level,))
        ranked = ranked_scores(view, (level,), rule, pairs)
        means = {label: math.fsum(own[pair] for pair in pairs) / len(pairs) for label, (own,) in ranked.items()}
        kind, noise = _noise_of(view, level)
        found.append(RankSetting(words, view.metric, means, kind, noise, len(pairs)))
    return tuple(found)


def _noise_of(view: View, level: float | None) -> tuple[str, str]:
    """The kind of noise, and what it is called; none where no trial has a wrong training label."""
    if level == 0 or _rates(view, level) == {0.0}:
        return "", ""
    if level is not None:
        return "synthetic", f"{level:g}"
    known = catalog.PROTOCOLS.get(view.protocol)
    if known is not None and known.noise in TWIN_NOISE:
        return "synthetic", "the rate of one human vote"
    if known is None or known.noise not in (*_REAL, *VOTE_NOISE):
        return "", ""
    return "real", "real noise" if view.identity.source == "real" else "noise drawn as the real one is"


def _rates(view: View, level: float | None) -> set[float]:
    """The shares of wrong training labels that the trials at a level tell."""
    noises = [record.environment.noise for record in view.block.records if record.level == level]
    return {noise.realised for noise in noises if noise is not None and noise.realised is not None}


def agreements_with(view: View, others: Sequence[Record], rule: str, rows: Rows | None = None) -> tuple[Agreement, ...]:
    """How alike a view's settings rank the methods among each other, and as those of other protocols do.

    Args:
        view: of one protocol.
        others: records of any protocols; those of the same profile, source, completeness and recipe are compared.
        rule: the selection rule.
        rows: what rows are called.
    """
    return agreements(settings_of(view, rule), _other_settings(view, others, rows or Rows(), rule))


def agreements(own: Sequence[RankSetting], others: Sequence[RankSetting]) -> tuple[Agreement, ...]:
    """Rank correlations between every two of a protocol's settings, and of each with each of the others.

    Those between synthetic and real noise come first: they are what is asked.
    """
    pairs = [*itertools.combinations(own, 2), *itertools.product(own, others)]
    found = [each for left, right in pairs if (each := _agreement(left, right)) is not None]
    return tuple(sorted(found, key=lambda each: not each.question))


def _agreement(left: RankSetting, right: RankSetting) -> Agreement | None:
    common = [label for label in left.means if label in right.means]
    if len(common) < LEAST_METHODS:
        return None
    x, y = [left.means[label] for label in common], [right.means[label] for label in common]
    families = [label.partition(":")[0] for label in common]
    low, high = kendall_interval(x, y, families, RESAMPLES, _SEED)
    made, level, real = _question(left, right)
    return Agreement(
        *(left.words, right.words, len(common), kendall(x, y), low, high, spearman(x, y)),
        *(made, level, real, len(set(families)), min(left.pairs, right.pairs)),
    )


def _question(left: RankSetting, right: RankSetting) -> tuple[str, str, str]:
    if {left.kind, right.kind} != {"synthetic", "real"}:
        return "", "", ""
    made, real = (left, right) if left.kind == "synthetic" else (right, left)
    return made.words.partition(",")[0], made.noise, f"{real.noise} ({real.words})"


def answers(found: Sequence[Agreement]) -> tuple[str, ...]:
    """Does synthetic noise predict real noise? A sentence for each pair of protocols and each answer."""
    real = [each for each in found if each.real]
    groups = grouped(real, lambda each: (each.made, each.real, each.answer, each.methods))
    return tuple(map(_answer, groups.values())) or (
        "These settings do not include both synthetic and real noise, so one cannot be compared with the other.",
    )


def _answer(alike: Sequence[Agreement]) -> str:
    """The sentence for the levels of one protocol that have one answer."""
    first = alike[0]
    levels = ", ".join(each.level for each in alike)
    taus = " to ".join(dict.fromkeys(f"{tau:.2f}" for tau in (min(a.tau for a in alike), max(a.tau for a in alike))))
    known = [each for each in alike if not math.isnan(each.low)]
    interval = f" [{min(a.low for a in known):.2f}, {max(a.high for a in known):.2f}]" if known else ""
    figures = minus(f"τ {taus}{interval} over {first.methods} methods")
    question = _asks(levels, first)
    tell = first.answer.startswith("cannot")
    return f"{question}: {first.answer} ({figures})." if tell else f"{question} {first.answer}: {figures}."


def _asks(levels: str, found: Agreement) -> str:
    return f"Ranks under synthetic noise at {levels} ({found.made}) and under {found.real}"


def _other_settings(view: View, others: Sequence[Record], rows: Rows, rule: str) -> tuple[RankSetting, ...]:
    """Settings of other protocols at the same profile, source, completeness and recipe; mixed ones are left out."""
    fits = [r for r in others if r.identity.setting == view.identity.setting and r.protocol != view.protocol]
    found: list[RankSetting] = []
    for records in grouped(fits, lambda record: record.protocol).values():
        try:
            (other,) = views_of(records, Expected(rows=rows))
        except BadInput:  # several comparability keys: not one setting
            continue
        found.extend(settings_of(other, rule))
    return tuple(found)


def _agreement_table(view: View, found: Sequence[Agreement], rule: str) -> Table:
    title = title_of(view, f"rank correlation between settings, {RULE_WORDS[rule]}")
    notes = (*answers(found), AGREEMENT_NOTE)
    return Table(title, AGREEMENT_COLUMNS, agreement_rows(found), notes, headers=2)


def agreement_rows(found: Sequence[Agreement]) -> tuple[tuple[Cell, ...], ...]:
    """A row of AGREEMENT_COLUMNS for each two settings."""
    return tuple(
        (
            Cell(each.left),
            Cell(each.right),
            Cell(str(each.methods), float(each.methods)),
            _number(each.tau, 2),
            Cell(MISSING)
            if math.isnan(each.low)
            else Cell(minus(f"{each.low:.2f} to {each.high:.2f}"), interval=(each.low, each.high)),
            _number(each.rho, 2),
        )
        for each in found
    )


# --- cells


def _number(value: float, decimals: int) -> Cell:
    return Cell(MISSING) if math.isnan(value) else Cell(minus(f"{value:.{decimals}f}"), value)
