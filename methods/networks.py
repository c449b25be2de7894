"""Encoder interfaces, the network most methods consist of, and the probabilities of one or two networks."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from ..protocols.base import Kind


class Encoder(Protocol):
    """A backbone: images [B, 3, H, W] in [0, 1] to (pooled [B, D], maps [B, D, h, w]); it normalises the images."""

    num_features: int

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features of a batch of images."""
        ...


class MakeEncoder(Protocol):
    """Creates an encoder. The initial weights of peer 0 are the same in every method, and those of peer 1 likewise.

    A call also resets the random stream of the construction to that peer's own stream, so that a head created next has
    the same initial weights in every method.
    """

    def __call__(self, peer: int = 0) -> Any:
        """A new encoder (an `nn.Module` that is an `Encoder`)."""
        ...


class TokenHeads(nn.Linear):
    """One linear classifier per output, each applied to that output's own token.

    The input holds the tokens of all outputs in one row: [B, num_outputs * D].
    """

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [B, num_outputs]."""
        logits: Tensor = (tokens.reshape(-1, self.out_features, self.in_features) * self.weight).sum(2) + self.bias
        return logits


class Network(nn.Module):
    """An encoder and a linear classifier: the network most methods consist of.

    For an encoder with one token per output (its attribute `tokens`), each output has a classifier on its own token.
    """

    def __init__(self, make_encoder: MakeEncoder, num_outputs: int, peer: int = 0) -> None:
        super().__init__()
        self.encoder = make_encoder(peer=peer)
        tokens, size = getattr(self.encoder, "tokens", 0), self.encoder.num_features
        self.head = TokenHeads(size // tokens, num_outputs) if tokens else nn.Linear(size, num_outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, num_outputs] of images [B, 3, H, W] in [0, 1]."""
        pooled, _ = self.encoder(images)
        logits: Tensor = self.head(pooled)
        return logits


def to_probabilities(logits: Tensor, kind: Kind) -> Tensor:
    """Probabilities of logits: softmax over classes, or a sigmoid for each AU."""
    return logits.softmax(dim=1) if kind == "single" else logits.sigmoid()


def mean_probabilities(logits1: Tensor, logits2: Tensor, kind: Kind) -> Tensor:
    """The mean of two networks' probabilities, [B, C]."""
    return (to_probabilities(logits1, kind) + to_probabilities(logits2, kind)) / 2
