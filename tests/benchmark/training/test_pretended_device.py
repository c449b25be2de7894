"""On a GPU, all is on the device, and a training step waits for the device nowhere but where it is listed here.

There is no GPU: the device is a pretended one (pretended_device.py). A wait keeps a GPU idle while the host prepares
what comes next.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.planning.compute_count import ROWS, random_cell, random_trial
from fernoise_bench.benchmark.registry import MethodSpec
from fernoise_bench.benchmark.settings import Settings
from fernoise_bench.benchmark.training import augmentation as augment
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.benchmark.training.audit.auditor import BLOCK, Auditor
from fernoise_bench.benchmark.training.strong_view import decide_strong, draws_of, strong_view
from fernoise_bench.methods.base import Kind, Step
from fernoise_bench.protocols import catalog
from fernoise_bench.protocols.base import Protocol, StrongAugmentation
from fernoise_bench.protocols.definitions.strong_views import FACES, USB

from ...everything import NAME, WITH_VOTES
from .miniature import PROTOCOLS, miniature, undecided_teacher
from .pretended_device import META, Watch, pretend
from .waits import waits_of

FLIPPED = "bp4d-3fold-plain:flip"  # AU labels whose true transition is known
SIDE = 16
MOST_OPERATIONS = 60  # of augmentation, loader and audit in a step of one view


def specs() -> Iterator[tuple[Kind, MethodSpec]]:
    """Every method and variant, with each kind of label that it can learn from."""
    for base in registry.all_base():
        for name in (base.name, *(f"{base.name}:{variant}" for variant in base.load().variants)):
            spec = registry.find(name)
            yield from ((kind, spec) for kind in PROTOCOLS if kind in spec.needs)
    # with strong views, votes and the transition
    yield "single", registry.find(WITH_VOTES)
    yield "multi", registry.find(NAME)


CASES = [
    pytest.param(
        kind, spec, id=f"{kind} {spec.name}", marks=[pytest.mark.weekly] if ":" in spec.name and spec.is_own else []
    )
    for kind, spec in specs()
]


def trained(kind: Kind, spec: MethodSpec, watch: Watch, encoder: str = "one-layer") -> int:
    """Prepares and trains a method for two epochs and predicts; watches all steps but the first of an epoch.

    Returns how many steps were watched.
    """
    protocol = catalog.find(FLIPPED if kind == "multi" and "transition" in spec.needs else PROTOCOLS[kind])
    recipe = miniature(protocol.paper.recipe, encoder, rows=ROWS, epochs=2, side=SIDE, margin=4)
    trial = random_trial(spec, protocol, Settings("meta", "fp32", "none", "", "", recipe))
    width, steps = len(protocol.names), 0
    teacher = undecided_teacher(spec, 2 * ROWS, width)
    with watch:
        training = trainer.start(trial, random_cell(protocol, 2 * ROWS, SIDE), Weights("none"), teacher)
        method, data = training.method, training.train_set
        for epoch in range(recipe.epochs):
            method.train()
            method.begin_epoch(epoch, data.view(epoch))
            sums = trainer.Sums(data.device, data.sampler.steps)
            batches = data.batches(epoch, method.views)
            for step in range(data.sampler.steps):
                watch.on = step > 0
                trainer.run_step(training, next(batches), sums)
                steps += watch.on
            watch.on = False
        method.eval()
        store, position = data.pixels.fetch(torch.arange(5, device=META))
        assert method.predict(augment.test_view(store, position, recipe.augmentation)).device == META
    assert all(parameter.device == META for parameter in method.state_dict().values())
    return steps


@pytest.mark.parametrize(("kind", "spec"), CASES)
def test_a_step_waits_for_the_device_where_it_is_listed_alone(
    kind: Kind, spec: MethodSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch()
    pretend(monkeypatch, watch)
    steps = trained(kind, spec, watch)
    assert watch.waits.total() == waits_of(kind, spec) * steps, dict(watch.waits)
    # a mask by which a method chose rows is used again when its gradient is computed, which the trainer asks for
    own = {file for file, what in watch.waits if what != "rows are chosen by a mask"}
    assert not {file for file in own if file.startswith("benchmark/")}


def test_the_papers_networks_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    pretend(monkeypatch, watch)
    trained("single", registry.find("cocuring"), watch, "resnet18")
    assert not watch.waits


def audit_steps(watch: Watch, kind: Kind, steps: int) -> None:
    """The audit of steps that report all that can be reported, of two networks."""
    shape = (ROWS,) if kind == "single" else (ROWS, 3)
    labels = torch.zeros(2 * ROWS, *shape[1:], dtype=torch.int64, device=META)
    auditor = Auditor(labels, labels, kind, 3)
    report = (
        torch.zeros(ROWS, 3, device=META),
        torch.zeros(2, *shape, device=META),
        labels[None, :ROWS].repeat_interleave(2, 0),
    )
    rows = torch.zeros(ROWS, dtype=torch.int64, device=META)
    with watch:
        watch.on = True
        for _ in range(steps):
            auditor.watch(rows, Step(None, *report))


@pytest.mark.parametrize("protocol", catalog.PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_augmentation_and_audit_start_few_operations(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU takes as long to start a small operation as to do it: a ResNet-18's own are some 172 a step."""
    watch = Watch()
    pretend(monkeypatch, watch)
    how = protocol.paper.recipe.augmentation
    store = torch.zeros(ROWS, how.crop, how.crop, 3, dtype=torch.uint8, device=META)
    decided = augment.decide(torch.zeros(2, ROWS, augment.DRAWS, device=META), how, (how.crop, how.crop))
    index = torch.zeros(ROWS, dtype=torch.int64, device=META)
    audit_steps(watch, protocol.kind, BLOCK)
    audit = watch.operations.total() / BLOCK
    with watch:
        augment.training_view(store, index, decided[1], how)
    view = watch.operations.total() - audit * BLOCK
    loader = 5  # row numbers, labels, verified, auxiliary labels, a teacher's probabilities
    names = ("audit/auditor", "audit/dynamics", "augmentation", "image_operations")
    assert watch.operations.keys() <= {f"benchmark/training/{name}.py" for name in names}
    assert audit + view + loader <= MOST_OPERATIONS
    assert not watch.waits


@pytest.mark.parametrize(("name", "strong"), [("ferplus-sym", FACES), ("bp4d-3fold", USB)])
def test_a_strong_view_waits_nowhere(name: str, strong: StrongAugmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    """All operations are computed for all rows of each slot; it starts so many, and those of the ordinary view."""
    watch = Watch()
    pretend(monkeypatch, watch)
    how = catalog.find(name).paper.recipe.augmentation
    store = torch.zeros(ROWS, how.crop, how.crop, 3, dtype=torch.uint8, device=META)
    decided = decide_strong(torch.zeros(2, ROWS, draws_of(strong), device=META), how, strong, (how.crop, how.crop))
    with watch:
        watch.on = True
        strong_view(store, torch.zeros(ROWS, dtype=torch.int64, device=META), decided[1], how, strong)
    assert watch.operations["benchmark/training/image_operations.py"] <= 105 * strong.slots
    assert not watch.waits


# --- the pretended device itself


def noticed(work: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is noted of some work with x on the device and h on the host."""
    watch = Watch()
    pretend(monkeypatch, watch)
    names = {"torch": torch, "x": torch.zeros(4, 4, device=META), "h": torch.zeros(4), "i": torch.arange(2)}
    with watch:
        watch.on = True
        exec(work, names)
    return [what for _, what in watch.waits]


@pytest.mark.parametrize(
    ("work", "what"),
    [
        ("bool((x > 0).any())", "a value is read"),
        ("x.sum().item()", "a value is read"),
        ("x.sum().tolist()", "a copy from the device to the host"),
        ("x.cpu()", "a copy from the device to the host"),
        ("h.to(x.device)", "a copy from the host to the device"),
        ("x[0].copy_(h)", "a copy from the host to the device"),
        ("x[i]", "an index is copied"),
        ("x[x > 0]", "rows are chosen by a mask"),
        ("x[x > 0] = 1.0", "rows are chosen by a mask"),
        ("(x > 0).nonzero()", "rows are counted"),
        ("torch.tensor([1.0], device=x.device)", "values of the host are copied to the device"),
        ("x.new_tensor([1.0])", "values of the host are copied to the device"),
        ("torch.linalg.inv(x)", "a decomposition is checked"),
        ("torch.linalg.pinv(x)", "a decomposition is checked"),
    ],
)
def test_a_wait_is_noticed(work: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert noticed(work, monkeypatch) == [what]


@pytest.mark.parametrize(
    "work",
    [
        "x[0, 0] = 1.0", "x + 1", "torch.where(x > 0, x, 0)", "h.to(x.device, non_blocking=True)", "x[x.long()]",
        "torch.nn.functional.normalize(x)", "x.softmax(1).argmax(1)", "torch.full((3,), 0.5, device=x.device)",
    ],
)  # fmt: skip
def test_what_does_not_wait_is_not_noted(work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert noticed(work, monkeypatch) == []


@pytest.mark.parametrize(
    "work",
    [
        "x + h", "h[x[0].long()]", "torch.rand(3, device=x.device, generator=torch.Generator())", "torch.unique(x)",
        "torch.nn.functional.linear(x, torch.zeros(2, 4))",
    ],
)  # fmt: skip
def test_what_a_gpu_refuses_is_refused(work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        noticed(work, monkeypatch)
