"""Which gene sets have the right number of genes to be tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .core.checks import check_whole
from .gene_sets import found_sets, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

SMALLEST = 2


@dataclass(frozen=True, slots=True)
class Tested:
    """Sets to be tested: positions of their genes in the model; and the names of the others."""

    sets: dict[str, NDArray[np.intp]]
    left_out: list[str]

    def warning(self) -> str:
        """Say it where most sets are left out; empty otherwise."""
        n_sets = len(self.sets) + len(self.left_out)
        if len(self.left_out) * 2 <= n_sets:
            return ""
        return (
            f"{len(self.left_out)} of {n_sets} gene sets have too few or too many genes in the model and are left out: "
            f"{listed(self.left_out)}. Change min_size or max_size, or train on the genes of these sets: "
            "`modulae.pp.gene_set_mask`."
        )


def sets_to_test(
    gene_sets: Mapping[str, Sequence[str]], genes: NDArray[np.str_], *, min_size: int, max_size: int | None
) -> Tested:
    """Keep the sets with `min_size` to `max_size` genes in the model, but none that has all of them.

    Raises
    ------
    ValueError
        Sizes that make no sense, or no set is left.
    """
    check_whole("min_size", min_size, least=SMALLEST)
    if max_size is not None:
        check_whole("max_size", max_size, least=min_size)
    names, positions = found_sets(gene_sets, genes, where="the model")
    most = min(len(genes) - 1, len(genes) if max_size is None else max_size)
    sets = {name: at for name, at in zip(names, positions, strict=True) if min_size <= len(at) <= most}
    if not sets:
        sizes = sorted(len(at) for at in positions)
        msg = (
            f"none of the {len(gene_sets)} gene sets has {min_size} to {most} of the model's {len(genes)} genes; those "
            f"that have any have {sizes[0]} to {sizes[-1]}. Change min_size or max_size."
        )
        raise ValueError(msg)
    return Tested(sets, [name for name in gene_sets if name not in sets])
