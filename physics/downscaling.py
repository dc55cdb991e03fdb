"""Refined values whose mean is the coarse one: additive, multiplicative and softmax downscaling layers.

Source: Harder et al. 2023, "Hard-constrained deep learning for climate downscaling", Journal of Machine Learning
Research 24 (365).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import EmagramError

KINDS = ("additive", "multiplicative", "softmax")


def require_kind(owner: str, kind: object) -> None:
    """Refuse what is no kind of downscaling."""
    if kind not in KINDS:
        raise EmagramError(f"{owner}: expected kind {', '.join(KINDS[:-1])} or {KINDS[-1]}, got {kind!r}")


def downscale(refined: Tensor, coarse: Tensor, kind: str, weight: Tensor | None = None) -> Tensor:
    """Values of the cells of each coarse cell, with its value as their mean.

    With ȳ = Σ w y / Σ w: additive y + (x − ȳ), multiplicative y x / ȳ, softmax e^y x / mean(e^y). Additive and
    multiplicative keep what already has that mean, softmax gives every value the sign of x. Smooth, but that a
    multiplicative y whose mean is zero, or so small that y x / ȳ is not finite, stays as it is, without the mean.

    Args:
        refined: y (..., n_cell); of softmax a logarithm, [1].
        coarse: x (...), in the unit of the result.
        weight: w > 0, of the trailing dimensions of `refined`, (n_cell,) at least; equal unless given.
    Returns:
        (..., n_cell), float64 inside, in the dtype of `refined`.
    Raises:
        EmagramError: if the kind is unknown, shapes do not fit, or a weight is not positive.
    """
    require_kind("downscaling", kind)
    if refined.ndim == 0 or tuple(coarse.shape) != tuple(refined.shape[:-1]):
        raise EmagramError(
            f"downscaling: expected coarse values of shape {tuple(refined.shape[:-1])}, got {tuple(coarse.shape)}"
        )
    share = _share(refined, weight)
    return rescaled(refined.double(), coarse.double(), kind, share).to(refined.dtype)


def downscale_image(refined: Tensor, coarse: Tensor, kind: str, factor: int, weight: Tensor | None = None) -> Tensor:
    """The same for images, of which every coarse cell is refined to factor × factor ones.

    Args:
        refined: y (..., factor · n_lat, factor · n_lon).
        coarse: x (..., n_lat, n_lon).
        factor: cells along each side.
        weight: w > 0, areas of the refined cells (factor · n_lat, factor · n_lon) or as `refined`; equal unless given.
    Returns:
        as `refined`.
    Raises:
        EmagramError: as `downscale`, or if the factor is not a positive number or does not fit the shapes.
    """
    if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
        raise EmagramError(f"downscaling: expected a positive whole factor, got {factor!r}")
    expected = (*coarse.shape[:-2], factor * coarse.shape[-2], factor * coarse.shape[-1]) if coarse.ndim > 1 else ()
    for name, value in (("refined values", refined), ("weights", weight)):
        shapes = {expected, expected[-2:]} if name == "weights" else {expected}
        if value is not None and (not expected or tuple(value.shape) not in shapes):
            raise EmagramError(f"downscaling: expected {name} of shape {expected}, got {tuple(value.shape)}")
    cells = downscale(_to_cells(refined, factor), coarse, kind, None if weight is None else _to_cells(weight, factor))
    blocks = cells.reshape(*coarse.shape, factor, factor).transpose(-3, -2)
    return blocks.reshape(refined.shape)


def rescaled(refined: Tensor, coarse: Tensor, kind: str, share: Tensor) -> Tensor:
    """`downscale` with weights that sum to one and nothing checked, all float64."""
    if kind == "additive":
        return refined + (coarse - _mean(refined, share)).unsqueeze(-1)
    if kind == "softmax":
        refined = (refined - refined.amax(dim=-1, keepdim=True)).exp()
    mean = _mean(refined, share)
    with torch.no_grad():
        largest = refined.abs().amax(dim=-1)
        closes = (mean != 0.0) & (largest * (coarse / torch.where(mean != 0.0, mean, 1.0))).isfinite()
    factor = coarse / torch.where(closes, mean, 1.0)
    return torch.where(closes.unsqueeze(-1), refined * factor.unsqueeze(-1), refined)


def _mean(refined: Tensor, share: Tensor) -> Tensor:
    return (share * refined).sum(dim=-1)


def _share(refined: Tensor, weight: Tensor | None) -> Tensor:
    n_cell = refined.shape[-1]
    if weight is None:
        return refined.new_full((n_cell,), 1.0 / n_cell, dtype=torch.float64)
    if weight.ndim == 0 or tuple(weight.shape) != tuple(refined.shape[-weight.ndim :]):
        raise EmagramError(f"downscaling: expected weights of shape {tuple(refined.shape)}, got {tuple(weight.shape)}")
    weight = weight.double()
    if not bool(((weight > 0.0) & weight.isfinite()).all()):
        raise EmagramError(f"downscaling: expected positive weights, got one of {float(weight.min()):g}")
    return weight / weight.sum(dim=-1, keepdim=True)


def _to_cells(image: Tensor, factor: int) -> Tensor:
    """(..., factor · n_lat, factor · n_lon) as (..., n_lat, n_lon, factor²)."""
    *leading, height, width = image.shape
    blocks = image.reshape(*leading, height // factor, factor, width // factor, factor)
    return blocks.transpose(-3, -2).flatten(-2)
