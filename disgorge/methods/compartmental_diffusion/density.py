"""How likely a noised image is under each shard, from parts that removable shards do not share.

The **router** is made from the core alone: a mean image, directions B, and in each direction the variance u within the
core's clusters. A shard's **posterior** part is a mixture of Gaussians in those directions: K centers, their shares,
and the count of its images. Nothing is fitted across shards, so a part dropped leaves nothing behind.

With z = B (x - mean) and x_t = alpha x_0 + sigma eps, B orthonormal, the noised density needs no further training:

    p_{i,t}(x_t) = sum_k share_ik N(z_t; alpha m_ik, alpha^2 breadth u + sigma^2 I),  z_t = B (x_t - alpha mean)  (4)

As sigma grows every p_{i,t} becomes the same and the weights become the priors, the counts of images.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

LEAST_VARIANCE = 1e-3
"""Floor of u, in squared units of pixels in [-1, 1]: digits' border pixels do not vary in a core at all."""

LLOYD_ROUNDS = 12
"""Rounds of k-means; on a few hundred images the centers stand still before."""


def fit_router(images: Tensor, *, features: int, clusters: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Return the router's tensors from the core's images (items, pixels): trunk, and the core's own density."""
    flat = images.double()  # (items, pixels)
    mean = flat.mean(dim=0)  # (pixels,)
    centered = flat - mean
    kept = min(features, flat.shape[1])
    _, vectors = torch.linalg.eigh(centered.T @ centered / len(flat))  # ascending: (pixels, pixels)
    basis = vectors.flip(1)[:, :kept]  # (pixels, features)
    latent = centered @ basis  # (items, features)
    centers, nearest = _kmeans(latent, clusters, generator)
    within = latent - centers[nearest]  # (items, features)
    variance, turn = torch.linalg.eigh(within.T @ within / len(flat))  # (features,), (features, features)
    trunk = {"mean": mean, "basis": (basis @ turn).T.contiguous(), "variance": variance.clamp(min=LEAST_VARIANCE)}
    return {**trunk, **fit_density(images, trunk, clusters=clusters, generator=generator)}


def fit_density(
    images: Tensor, trunk: Mapping[str, Tensor], *, clusters: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return one shard's density: ``centers`` (clusters, features), ``shares`` (clusters,), ``count`` (1,)."""
    latent = (images.double() - trunk["mean"]) @ trunk["basis"].T  # (items, features)
    scale = trunk["variance"].sqrt()  # (features,)
    centers, nearest = _kmeans(latent / scale, clusters, generator)
    members = torch.bincount(nearest, minlength=len(centers)).double()  # (clusters,)
    used = members > 0
    return {
        "centers": (centers * scale)[used],
        "shares": members[used] / len(latent),
        "count": torch.tensor([len(latent)], dtype=torch.int64),
    }


def log_density(
    noised: Tensor,
    *,
    alpha: float,
    sigma: float,
    breadth: float,
    trunk: Mapping[str, Tensor],
    part: Mapping[str, Tensor],
) -> Tensor:
    """Return log p_{i,t} of noised images (rows, pixels) up to a term that all shards share: (rows,). Equation (4)."""
    latent = (noised.double() - alpha * trunk["mean"]) @ trunk["basis"].T  # (rows, features)
    variance = alpha**2 * breadth * trunk["variance"] + sigma**2  # (features,)
    apart = latent[:, None, :] - alpha * part["centers"]  # (rows, clusters, features)
    exponent = -0.5 * (apart.square() / variance).sum(dim=2)  # (rows, clusters)
    return torch.logsumexp(exponent + part["shares"].log(), dim=1)  # (rows,)


def _kmeans(points: Tensor, clusters: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return (centers, index of each point's center): k-means++ seeding, then Lloyd's rounds."""
    first = int(torch.randint(len(points), (1,), generator=generator))
    chosen = [points[first]]
    gap = (points - chosen[0]).square().sum(dim=1)  # (points,)
    while len(chosen) < min(clusters, len(points)) and bool(gap.sum() > 0):
        chosen.append(points[int(torch.multinomial(gap, 1, generator=generator))])
        gap = torch.minimum(gap, (points - chosen[-1]).square().sum(dim=1))
    centers = torch.stack(chosen)  # (clusters, features)
    for _ in range(LLOYD_ROUNDS):
        nearest = _nearest(points, centers)
        for index in range(len(centers)):
            mine = points[nearest == index]
            if len(mine):
                centers[index] = mine.mean(dim=0)
    return centers, _nearest(points, centers)


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    """Return the index of the nearest center of each point (points,)."""
    return (points[:, None, :] - centers).square().sum(dim=2).argmin(dim=1)
