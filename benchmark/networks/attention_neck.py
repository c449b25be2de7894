"""The attention neck of RHLS: an attention encoder and decoder between a ResNet without its last stage and a head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 768
HEADS = 12
FEED_FORWARD = 3072
INITIAL_DEVIATION = 0.02


class Block(nn.Module):
    """Multi-head attention and a feed-forward network, each with a layer norm before it and a residual connection.

    Source: RHLS §3.2 names only the width of 768. Unstated: ours, as in the ViT-B that it replaces: 12 heads of 64,
    feed-forward 3072 with GELU, pre-norm, no dropout, weights from a normal distribution of standard deviation 0.02.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.query, self.key, self.value, self.out = (nn.Linear(size, size) for _ in range(4))
        self.feed_norm = nn.LayerNorm(size)
        self.feed_in = nn.Linear(size, FEED_FORWARD * size // SIZE)
        self.feed_out = nn.Linear(FEED_FORWARD * size // SIZE, size)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=INITIAL_DEVIATION)
                nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor, memory: Tensor | None = None) -> Tensor:
        """Tokens [B, Q, D] after attention to the normalised memory [B, P, D], without one to themselves."""
        queries = self.norm(tokens)
        source = queries if memory is None else memory
        query, key, value = (_heads(x) for x in (self.query(queries), self.key(source), self.value(source)))
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.out(attended)
        fed: Tensor = self.feed_out(F.gelu(self.feed_in(self.feed_norm(tokens))))
        return tokens + fed


class SelfAttention(nn.Module):
    """The attention encoder: one block over all positions of the feature map, then a layer norm."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.block = Block(size)
        self.norm = nn.LayerNorm(size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Encoded tokens [B, P, D] of tokens [B, P, D]."""
        encoded: Tensor = self.norm(self.block(tokens))
        return encoded


class CrossAttention(nn.Module):
    """The attention decoder: learned queries that attend to the encoded positions, then a layer norm.

    Unstated: ours: the queries do not attend to each other, since they depend on the image only after the one block.
    """

    def __init__(self, queries: int, size: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.empty(queries, size))
        nn.init.trunc_normal_(self.queries, std=INITIAL_DEVIATION)
        self.block = Block(size)
        self.norm = nn.LayerNorm(size)

    def forward(self, memory: Tensor) -> Tensor:
        """One token for each query, [B, T, D], from encoded positions [B, P, D]."""
        tokens: Tensor = self.norm(self.block(self.queries.expand(len(memory), -1, -1), memory))
        return tokens


class AttentionNeck(nn.Module):
    """1x1 convolution, self-attention over all positions, and cross-attention with one query for each AU.

    A ResNet without its last stage turns 224 px into a 14 x 14 map, the paper's 196 positions; other sizes work too.
    The paper has a learning rate each for `convolution` (with the backbone), `self_attention` and `cross_attention`.
    The dense layer of each AU, on that AU's token alone, is the method's head.

    Args:
        in_channels: of the backbone's feature map.
        queries: T, one for each AU.
        size: D, width of the tokens; a multiple of 12.

    Source: RHLS §3.2. Unstated: ours: fixed sine and cosine positions, added before the self-attention.
    """

    def __init__(self, in_channels: int, queries: int, size: int = SIZE) -> None:
        super().__init__()
        self.queries = queries
        self.num_features = queries * size
        self.convolution = nn.Conv2d(in_channels, size, kernel_size=1)
        self.self_attention = SelfAttention(size)
        self.cross_attention = CrossAttention(queries, size)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(query tokens [B, T * D], encoded map [B, D, h, w]) from a backbone's map [B, in_channels, h, w], float."""
        projected = self.convolution(maps)
        height, width = projected.shape[2:]
        tokens = projected.flatten(2).transpose(1, 2)
        encoded = self.self_attention(tokens + positions(height, width, tokens.shape[2], tokens.device))
        decoded = self.cross_attention(encoded)
        return decoded.flatten(1), encoded.transpose(1, 2).unflatten(2, (height, width))


def positions(height: int, width: int, size: int, device: torch.device) -> Tensor:
    """Positional encoding, [height * width, size], float32: sine and cosine of row and column at size / 4 wavelengths.

    The wavelengths go from 2π to 20,000π. Source: Vaswani et al. 2017 §3.5; half of the width is for rows, half for
    columns.
    """
    quarter = size // 4
    rates = 10_000.0 ** (-torch.arange(quarter, device=device) / quarter)
    rows, columns = (torch.arange(count, device=device)[:, None] * rates for count in (height, width))
    down = torch.cat((rows.sin(), rows.cos()), dim=1)[:, None].expand(-1, width, -1)
    across = torch.cat((columns.sin(), columns.cos()), dim=1)[None].expand(height, -1, -1)
    return torch.cat((down, across), dim=2).flatten(0, 1)


def _heads(tokens: Tensor) -> Tensor:
    """Tokens [B, N, D] split into heads, [B, heads, N, D / heads]."""
    return tokens.view(*tokens.shape[:2], HEADS, -1).transpose(1, 2)
