"""The adapter: what sits on the encoder's tokens and answers.

``attention`` (InCA; Dukler, Achille, Yang, Vivek, Zancato, Bowman, Ravichandran, Fowlkes, Swaminathan, Soatto, "Your
representations are in the network: composable and parallel adaptation for large scale models", NeurIPS 2023), with z
the tokens and q learned queries:

    head(LN(softmax((q Wq)(z Wk)' / sqrt(d)) z Wv))

A learned place is added to each token for the keys, because convolutions' tokens do not know where they are.

``linear`` is head(z) on all tokens at once.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional


def initial_adapter(
    kind: str, *, queries: int, classes: int, tokens: int, dims: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return an untrained adapter, float32: its head is zero, so every class is as likely."""
    features = queries * dims if kind == "attention" else tokens * dims
    weights = {
        "head.weight": torch.zeros(classes, features, dtype=torch.float32),
        "head.bias": torch.zeros(classes, dtype=torch.float32),
    }
    if kind == "attention":

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float32)

        weights |= {
            "query": normal(queries, dims),
            "place": normal(tokens, dims),
            "wq": normal(dims, dims) / math.sqrt(dims),
            "wk": normal(dims, dims) / math.sqrt(dims),
            "wv": normal(dims, dims) / math.sqrt(dims),
            "norm.gamma": torch.ones(dims, dtype=torch.float32),
            "norm.beta": torch.zeros(dims, dtype=torch.float32),
        }
    return weights


def adapt(weights: Mapping[str, Tensor], z: Tensor) -> Tensor:
    """Return an adapter's logits, (items, classes), from tokens ``z`` (items, tokens, dims)."""
    if "query" in weights:
        z = attend(weights, z)  # (items, queries, dims)
    return functional.linear(z.flatten(1), weights["head.weight"], weights["head.bias"])


def attend(weights: Mapping[str, Tensor], z: Tensor) -> Tensor:
    """Return what each query gathers, layer-normalized, (items, queries, dims)."""
    q = weights["query"] @ weights["wq"]  # (queries, dims)
    k = (z + weights["place"]) @ weights["wk"]  # (items, tokens, dims)
    attention = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(z.shape[2]), dim=2)  # (items, queries, tokens)
    gathered = attention @ (z @ weights["wv"])  # (items, queries, dims)
    return functional.layer_norm(gathered, gathered.shape[-1:], weights["norm.gamma"], weights["norm.beta"])
