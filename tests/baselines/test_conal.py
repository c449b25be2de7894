from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fernoise_bench.baselines.conal import CoNAL, CoNALParams, common_share, conal_loss, matrix_distance
from fernoise_bench.benchmark.registry import find

from ..methods.toy import make_encoder, make_task, make_train, random_logits
from .crowd import ANNOTATORS, CLASSES, PEOPLE, Array, batch_of, labels_of, slope, softmax, train_view
from .linear import make_identity

WHO_AND_WHAT = torch.tensor(ANNOTATORS)


def sigmoid(z: float) -> float:
    return float(1 / (1 + np.exp(-z)))


def share_by_loop(face: Array, annotator: Array, unit_faces: bool) -> float:
    u = annotator / np.sqrt(sum(annotator**2))
    v = face / np.sqrt(sum(face**2)) if unit_faces else face
    return sigmoid(sum(v[d] * u[d] for d in range(len(u))))


def loss_by_loop(logits: Array, common: Array, individual: Array, share: Array, annotators: Any) -> float:
    losses = []
    for face, pairs in enumerate(np.asarray(annotators)):
        p = softmax(logits[face])
        for place, (who, label) in enumerate(pairs):
            if label < 0:
                continue
            scores = np.zeros(len(p))
            for k in range(len(p)):
                of_all = sum(p[c] * common[c, k] for c in range(len(p)))
                own = sum(p[c] * individual[who, c, k] for c in range(len(p)))
                scores[k] = share[face, place] * of_all + (1 - share[face, place]) * own
            losses.append(-np.log(softmax(scores)[label]))
    return float(np.mean(losses)) if losses else 0.0


def distance_by_loop(common: Array, individual: Array) -> float:
    return sum(float(np.sqrt(((own - common) ** 2).sum())) for own in individual)


def random_parts(seed: int) -> tuple[torch.Tensor, ...]:
    eye = 2 * torch.eye(CLASSES, dtype=torch.float64)
    common = eye + 0.3 * random_logits(seed, CLASSES, CLASSES, scale=1.0)
    individual = eye + 0.3 * random_logits(seed + 1, PEOPLE, CLASSES, CLASSES, scale=1.0)
    return random_logits(seed + 2, 5, CLASSES), common, individual, random_logits(seed + 3, 5, 3).sigmoid()


# --- the gate


@pytest.mark.parametrize("unit_faces", [True, False])
def test_the_gate_is_that_of_the_loop(unit_faces: bool) -> None:
    faces, annotators = random_logits(0, 4, 6, requires_grad=True), random_logits(1, 4, 3, 6, requires_grad=True)
    v, u = faces.detach().numpy(), annotators.detach().numpy()

    def total(v: Array, u: Array) -> float:
        return sum(share_by_loop(v[face], u[face, place], unit_faces) for face in range(4) for place in range(3))

    found = common_share(faces, annotators, unit_faces)
    expected = [[share_by_loop(v[face], u[face, place], unit_faces) for place in range(3)] for face in range(4)]
    assert found.detach().numpy() == pytest.approx(np.array(expected), rel=1e-12)
    of_faces, of_annotators = torch.autograd.grad(found.sum(), (faces, annotators))
    assert of_faces.numpy() == pytest.approx(slope(lambda at: total(at, u), v), rel=1e-5, abs=1e-9)
    assert of_annotators.numpy() == pytest.approx(slope(lambda at: total(v, at), u), rel=1e-5, abs=1e-9)


def test_the_gate_of_unit_vectors_is_never_shut() -> None:
    """By hand: from σ(-1) for opposite embeddings to σ(1) for equal ones."""
    v = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    u = torch.tensor([[[30.0, 40.0], [-3.0, -4.0], [-4.0, 3.0]]], dtype=torch.float64)
    expected = [[pytest.approx(sigmoid(1)), pytest.approx(sigmoid(-1)), pytest.approx(0.5)]]
    assert common_share(v, u).tolist() == expected
    assert common_share(v, u, False).tolist() == [[pytest.approx(sigmoid(z), rel=1e-9) for z in (5, -5, 0)]]


# --- the loss and the distance


def test_loss_is_that_of_the_loop_and_so_are_its_gradients() -> None:
    parts = [part.requires_grad_() for part in random_parts(3)]
    arrays = [part.detach().numpy() for part in parts]
    loss = conal_loss(*parts, WHO_AND_WHAT)  # type: ignore[misc,arg-type]
    assert loss.item() == pytest.approx(loss_by_loop(*arrays, ANNOTATORS), rel=1e-12)  # type: ignore[arg-type]
    for number, gradient in enumerate(torch.autograd.grad(loss, parts)):

        def changed(at: Array, number: int = number) -> float:
            return loss_by_loop(*arrays[:number], at, *arrays[number + 1 :], ANNOTATORS)  # type: ignore[arg-type]

        assert gradient.numpy() == pytest.approx(slope(changed, arrays[number]), rel=1e-5, abs=1e-9)


def test_an_open_gate_leaves_the_common_matrix_and_a_shut_one_the_annotators_own() -> None:
    logits, common, individual, _ = random_parts(9)
    others = torch.zeros_like(individual), torch.zeros_like(common)
    for share, changed in ((1.0, (common, others[0])), (0.0, (others[1], individual))):
        whole = torch.full((5, 3), share, dtype=torch.float64)
        found = conal_loss(logits, common, individual, whole, WHO_AND_WHAT)
        assert found.item() == pytest.approx(conal_loss(logits, *changed, whole, WHO_AND_WHAT).item(), rel=1e-12)


def test_the_distance_is_a_sum_of_norms() -> None:
    """By hand: 3-4-5, and a matrix that is the common one, whose gradient is 0."""
    common = torch.tensor([[2.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    individual = torch.stack([common, common + torch.tensor([[3.0, 0.0], [4.0, 0.0]])]).requires_grad_()
    found = matrix_distance(common, individual)
    assert found.item() == 5.0
    (gradient,) = torch.autograd.grad(found, individual)
    assert gradient.tolist() == [[[0.0, 0.0], [0.0, 0.0]], [[pytest.approx(0.6), 0.0], [pytest.approx(0.8), 0.0]]]
    _, common, individual, _ = random_parts(5)
    expected = distance_by_loop(common.numpy(), individual.numpy())
    assert matrix_distance(common, individual).item() == pytest.approx(expected, rel=1e-12)


def test_extreme_values_half_precision_and_no_rows() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]] * 5, requires_grad=True)
    _, common, individual, _ = random_parts(6)
    matrices = [(1e4 * part).float().requires_grad_() for part in (common, individual)]
    share = common_share(1e4 * torch.ones(5, 2), -1e4 * torch.ones(5, 3, 2), False)
    loss = conal_loss(logits, *matrices, share, WHO_AND_WHAT)  # type: ignore[arg-type,misc]
    assert torch.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(loss, (logits, *matrices)))
    half = conal_loss(logits.detach().bfloat16(), *matrices, share.bfloat16(), WHO_AND_WHAT)  # type: ignore[arg-type,misc]
    assert half.dtype == torch.float32
    assert conal_loss(logits[:0], *matrices, share[:0], WHO_AND_WHAT[:0]).item() == 0.0  # type: ignore[arg-type,misc]


# --- the method


def make_method(**changes: Any) -> CoNAL:
    params = CoNALParams(**{"embedding": 3, "hidden": 2, "distance_weight": 0.1, **changes})
    method = CoNAL(make_task(size=5), make_identity, params).double()
    method.prepare(train_view())
    return method


def test_matrices_start_as_twice_the_identity_and_embeddings_as_a_linear_layer() -> None:
    method = CoNAL(make_task(size=5), make_encoder, CoNALParams())
    method.prepare(train_view())
    assert method.common.tolist() == (2 * np.eye(3)).tolist()
    assert method.individual.tolist() == [method.common.tolist()] * PEOPLE
    assert method.annotator_weight.shape == (PEOPLE, 20)
    assert method.annotator_weight.abs().max() <= PEOPLE**-0.5
    assert method.annotator_bias.shape == (20,)
    assert [tuple(part.weight.shape) for part in method.faces] == [(128, 5), (20, 128)]  # type: ignore[union-attr,arg-type]
    assert {name.partition(".")[0] for name, _ in method.named_parameters()} == {
        "network", "common", "faces", "individual", "annotator_weight", "annotator_bias"
    }  # fmt: skip
    with pytest.raises(ValueError, match="single annotators"):
        CoNAL(make_task(), make_encoder, CoNALParams()).prepare(make_train([0, 1]))


def test_the_gate_for_music_is_a_variant() -> None:
    params = find("conal:music").params
    assert (params.embedding, params.unit_faces, params.distance_weight) == (80, False, 1e-5)


@pytest.mark.parametrize("unit_faces", [True, False])
def test_training_follows_a_run_in_numpy(unit_faces: bool) -> None:
    """Gradient descent on all parameters, by differences of the loop."""
    method, rate = make_method(unit_faces=unit_faces), 0.3
    with torch.no_grad():  # where a norm has a gradient
        method.individual += random_logits(8, PEOPLE, CLASSES, CLASSES, scale=0.3)
    names = [name for name, _ in method.named_parameters()]
    state = {name: value.detach().numpy().copy() for name, value in method.named_parameters()}
    optimizer = torch.optim.SGD(method.parameters(), rate)

    def whole(state: dict[str, Array], x: Array, told: Any) -> float:
        logits = x @ state["network.head.weight"].T + state["network.head.bias"]
        hidden = x @ state["faces.0.weight"].T + state["faces.0.bias"]
        v = hidden @ state["faces.1.weight"].T + state["faces.1.bias"]
        share = np.zeros(told.shape[:2])
        for face, place in np.ndindex(*share.shape):
            if told[face, place, 0] >= 0:
                u = state["annotator_weight"][told[face, place, 0]] + state["annotator_bias"]
                share[face, place] = share_by_loop(v[face], u, unit_faces)
        fit = loss_by_loop(logits, state["common"], state["individual"], share, told)
        return fit - 0.1 * distance_by_loop(state["common"], state["individual"])

    for step, index in enumerate(([0, 1], [3, 4])):
        batch = batch_of(index, step)
        x, told = batch.images[0].flatten(1).numpy(), np.array(ANNOTATORS)[index]
        found = method.loss(batch)
        assert found.loss is not None
        assert found.loss.item() == pytest.approx(whole(state, x, told), rel=1e-10)
        optimizer.zero_grad()
        found.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        moved = {}
        for name in names:
            moved[name] = state[name] - rate * slope(lambda at: whole({**state, name: at}, x, told), state[name])  # noqa: B023
        state = moved
        for name, value in method.named_parameters():
            assert value.detach().numpy() == pytest.approx(state[name], rel=1e-5, abs=1e-7), name
    images = batch_of([0, 1]).images[0]
    logits = images.flatten(1).numpy() @ state["network.head.weight"].T + state["network.head.bias"]
    expected = np.array([softmax(row) for row in logits])
    assert method.predict(images).detach().numpy() == pytest.approx(expected, rel=1e-5)


def test_the_gate_does_not_train_the_encoder() -> None:
    """Its share of the loss, with a head that knows nothing, leaves no gradient in the encoder."""
    method = CoNAL(make_task(size=5), make_encoder, CoNALParams()).double()
    method.prepare(train_view())
    with torch.no_grad():
        method.network.head.weight.zero_()
        method.individual += random_logits(8, PEOPLE, CLASSES, CLASSES, scale=0.3)
    loss = method.loss(batch_of([0, 1, 2])).loss
    assert loss is not None
    loss.backward()  # type: ignore[no-untyped-call]
    assert not any(p.grad is not None and p.grad.any() for p in method.network.encoder.parameters())
    assert all(p.grad is not None and p.grad.any() for p in method.faces.parameters())


def test_a_step_says_what_it_trained_on_and_how_open_the_gate_is() -> None:
    method = make_method()
    step = method.loss(batch_of([0, 4, 1]))
    assert step.weight is not None
    assert step.target is not None
    assert step.weight.tolist() == [[1.0, 0.0, 1.0]]
    assert step.target.numpy() == pytest.approx(np.array([[[1 / 3, 2 / 3, 0], [0, 0, 0], [0, 0, 1]]]))
    with torch.no_grad():
        v = method.faces(batch_of([0, 4, 1]).images[0].flatten(1)).numpy()
    weight, bias = method.annotator_weight.detach().numpy(), method.annotator_bias.detach().numpy()
    told = labels_of(np.array(ANNOTATORS)[[0, 4, 1]])
    shares = [share_by_loop(v[face], weight[who] + bias, True) for face, who, _ in told]
    assert float(step.logs["common_share"]) == pytest.approx(np.mean(shares), rel=1e-10)
    assert float(step.logs["matrix_distance"]) == 0.0
