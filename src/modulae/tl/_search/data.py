"""What every training of a search reads, in a form that can be sent to where it runs."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from modulae._adata.columns.batches import read_batches
from modulae._adata.columns.columns import obs_column, read_mask
from modulae._adata.columns.size_factors import library_sizes
from modulae._adata.counts import open_counts
from modulae._adata.features import FEATURE_TYPE_COLUMNS, of_their_kind
from modulae._adata.gene_names import gene_names
from modulae._counts.blocks import counts_of
from modulae._counts.layers import matrix_of
from modulae._counts.memory_limit import read_bytes
from modulae._counts.stored_counts import PORTION, CountReader, Counts
from modulae.core.array_backend import pick_device
from modulae.core.data.fingerprint import fingerprint
from modulae.core.data.stored_cells import StoredCells
from modulae.tl._autoencoder.data import model_genes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from .settings import Setting


@dataclass(frozen=True, slots=True)
class Data:
    """Counts with what else a training needs of the cells and genes."""

    matrix: Any  # cells × genes: checked counts in memory, a dask array, or the path of a file that holds them
    obs: pd.DataFrame  # columns that settings name as size factors or batches
    var: pd.DataFrame  # the mask
    mask_var: str | None
    test_fraction: float
    device: str
    memory_limit: str | int = "4GB"

    @property
    def in_memory(self) -> bool:
        """Whether the counts are."""
        return sparse.issparse(self.matrix)

    def fingerprint(self) -> str:
        """Hash of the counts, the genes and the mask, and of how much is learnt from at once."""
        mask = np.zeros(0) if self.mask_var is None else self.var[self.mask_var].to_numpy()
        names = "\n".join(self.var.index).encode()
        if self.in_memory:
            parts = (self.matrix.data, self.matrix.indices, self.matrix.indptr, np.asarray(self.matrix.shape))
            return digest(*parts, mask, names)
        with self.opened() as adata:
            matrix, where = counts_of(adata, None)
            cells = StoredCells(CountReader(matrix, None, where), np.arange(adata.n_obs), None, PORTION)
            result = fingerprint(cells)
        return digest(result.encode(), str(read_bytes(self.memory_limit)).encode(), mask, names)

    @contextmanager
    def opened(self) -> Iterator[AnnData]:
        """Cells and genes for one training."""
        from anndata import AnnData

        if not isinstance(self.matrix, Path):
            yield AnnData(self.matrix, obs=self.obs.copy(), var=self.var.copy())
            return
        adata = AnnData(obs=self.obs.copy(), var=self.var.copy(), filename=self.matrix, filemode="r")
        try:
            yield adata
        finally:
            adata.file.close()


def gather(
    adata: AnnData,
    settings: list[Setting],
    *,
    layer: str | None,
    mask_var: str | None,
    test_fraction: float,
    device: str,
    memory_limit: str | int,
) -> Data:
    """Read and check what all trainings need, once; counts on disk that don't fit into the limit stay there."""
    limit, device = read_bytes(memory_limit), pick_device(device)
    alike = of_their_kind(adata, np.flatnonzero(np.isin(gene_names(adata), model_genes(adata, mask_var))))
    counts = open_counts(adata, layer=layer, limit=limit, total_over=gene_names(adata)[alike])
    asked = (setting.get("size_factors") for setting in settings)
    sources = sorted({str(source) for source in asked if source not in {None, "total"}})
    for source in sources:
        library_sizes(adata, counts.totals, source)
    batch_keys = {str(setting["batch_key"]) for setting in settings if setting.get("batch_key") is not None}
    for batch_key in batch_keys:
        read_batches(adata, batch_key)
    columns = sorted({*sources, *batch_keys})
    obs = pd.DataFrame({name: obs_column(adata, name, "settings").array for name in columns}, index=adata.obs_names)
    kept = {} if mask_var is None else {mask_var: read_mask(adata, mask_var)}
    kept |= {name: adata.var[name].to_numpy() for name in FEATURE_TYPE_COLUMNS if name in adata.var}
    var = pd.DataFrame(kept, index=adata.var_names)
    if isinstance(counts, Counts):
        matrix: Any = counts.matrix
    elif adata.isbacked and layer is None:
        matrix = Path(adata.file.filename)  # an open file can't be sent to another process
    else:
        matrix = matrix_of(adata, layer)
    return Data(matrix, obs, var, mask_var, test_fraction, device, memory_limit)


def digest(*parts: Any) -> str:  # noqa: ANN401
    """Hash of arrays and bytes."""
    result = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            result.update(part)
        else:
            array = np.ascontiguousarray(part)
            result.update(f"{array.dtype.str}{array.shape}".encode())
            result.update(array.view(np.uint8).data if array.size else b"")
    return result.hexdigest()
