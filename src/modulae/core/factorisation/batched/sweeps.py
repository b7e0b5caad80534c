"""Coordinate descent over several factors at a time."""

from __future__ import annotations

import torch

from modulae.core.factorisation.limits import LEAST, LOOK_EVERY, SETTLED


def sweep_all(factor: torch.Tensor, gram: torch.Tensor, products: torch.Tensor, *, n_sweeps: int = 1) -> None:
    """Do what :func:`modulae.core.factorisation.sweeps.sweep` does, for each matrix of a batch, in place.

    Parameters
    ----------
    factor
        Batch × parts × columns.
    gram
        Batch × parts × parts.
    products
        Batch × parts × columns.
    n_sweeps
        How many times to go through the parts, at most: where nothing changes any more, it ends.
    """
    curvature = torch.diagonal(gram, dim1=1, dim2=2)
    alive = (curvature > LEAST)[:, :, None]
    step = 1 / torch.where(alive, curvature[:, :, None], 1)
    itself = torch.eye(gram.shape[1], device=gram.device, dtype=torch.bool)
    others = torch.where(itself, 0, gram * step)
    others = torch.where(alive, others, torch.where(itself, -1.0, 0.0))  # a part that is nothing stays as it is
    alone = torch.where(alive, products * step, 0)
    for turn in range(n_sweeps):
        look = turn % LOOK_EVERY == LOOK_EVERY - 1
        before = factor.clone() if look else factor
        for part in range(factor.shape[1]):
            one = slice(part, part + 1)
            best = torch.baddbmm(alone[:, one], others[:, one], factor, alpha=-1)
            torch.clamp(best, min=0, out=factor[:, one])
        if look and bool((factor - before).abs().max() <= SETTLED * factor.max()):
            break
