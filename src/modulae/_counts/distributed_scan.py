"""The first look at counts on disk, by several processes of which each looks at its share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .stored_counts import BYTES_AS_READ, LayerTotals, Scan, scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.processes.ranks import Ranks

    from .stored_counts import CountReader


def scan_together(
    reader: CountReader, names: NDArray[np.str_], counted: NDArray[np.float64], in_memory: int | None, ranks: Ranks
) -> Scan:
    """:func:`.stored_counts.scan`, the same on every rank; what one of them finds wrong is raised on all.

    Counts that turn out to fit into memory are read there once more, all of them by every rank.
    """
    if ranks.size == 1:
        return scan(reader, names, counted, in_memory)

    def look() -> tuple[NDArray[np.float64], NDArray[np.uint64], NDArray[np.float64], int, bool]:
        share = ranks.share(np.arange(int(reader.matrix.shape[0])))
        result = scan(reader, names, counted, 0, share)
        seen = result.seen
        return seen.totals, seen.stamps, seen.gene_totals, result.n_counts, result.all_integers

    totals, stamps, gene_totals, n_counts, all_integers = zip(*ranks.each(look), strict=True)
    if in_memory is None or sum(n_counts) * BYTES_AS_READ <= in_memory:
        return scan(reader, names, counted, in_memory)
    seen = LayerTotals(
        totals=np.concatenate(totals),
        names=names,
        gene_totals=np.sum(gene_totals, axis=0),
        counted=counted,
        stamps=np.concatenate(stamps),
    )
    return Scan(reader, seen, None, sum(n_counts), all(all_integers))
