"""Make the file of `mo.datasets.blood_model()`: the default's model of pbmc3k, for genes that matter, and some cells.

    MODULAE_DATA=folder python -m benchmarks.quality.make_blood_model

1. The default looks for units in all cells and genes, and `tl.unit_summary` names them.
2. Genes that matter to a unit are kept: those that it is read from and those that it makes, by turns.
3. The other genes go as `tl.transfer` has genes go that new data lack: what they say is expected from those kept.
4. Cells of each type are kept, equally many, for `tl.classify`: a random choice.
5. Numbers are rounded to 12 bits, so that the file is half as large.
"""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import h5py
import numpy as np
from anndata.experimental import write_dispatched

import modulae as mo
from modulae._adata.counts import open_cells
from modulae._adata.stored.write_model import store_model
from modulae._model_io.foreign_model import read_source, read_with
from modulae.core.inference.encode import encode
from modulae.core.model.fitted import Fitted

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

TARGET = Path(mo.datasets.__file__).parent / "blood_model.h5ad.gz"
N_GENES = 3000
CELLS_A_LABEL = 40
BITS = 12
FEW_NUMBERS = 1000
MAX_BYTES = 1_000_000
SOURCE = "10x Genomics, 3k PBMC from a healthy donor, CC BY 4.0; labels of scanpy's tutorial"


def main() -> None:
    """Train, reduce and write."""
    cells = ad.read_h5ad(Path(os.environ["MODULAE_DATA"]) / "pbmc3k.h5ad")
    cells.obs = cells.obs[["louvain"]].rename(columns={"louvain": "cell_type"})
    mo.tl.autoencoder(cells, device="cpu", progress=False)
    mo.tl.unit_summary(cells, mo.datasets.immune_signatures(), groupby="cell_type", device="cpu", progress=False)
    blood = reduced(cells, genes_that_matter(cells, N_GENES), some_of_each(cells.obs["cell_type"], CELLS_A_LABEL))
    write(blood, TARGET)
    print(mo.get.unit_summary(blood)[["name", "reproducibility"]].to_string())
    print(f"{TARGET.name}: {blood.n_obs} cells × {blood.n_vars} genes, {TARGET.stat().st_size} bytes")
    if TARGET.stat().st_size > MAX_BYTES:
        msg = f"{TARGET} is larger than {MAX_BYTES} bytes. Lower N_GENES."
        raise ValueError(msg)


def write(blood: AnnData, file: Path) -> None:
    """An h5ad file, its large arrays packed, and then packed as a whole for its many names."""

    def put(write: Any, group: Any, name: str, value: Any, *, dataset_kwargs: Any, **_: Any) -> None:  # noqa: ANN401
        size = getattr(value, "nnz", getattr(value, "size", 0))
        packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True} if size > FEW_NUMBERS else {}
        write(group, name, value, dataset_kwargs=dataset_kwargs | packed)

    content = io.BytesIO()
    with h5py.File(content, "w") as store:
        write_dispatched(store, "/", blood, put)
    file.write_bytes(gzip.compress(content.getvalue(), mtime=0))


def genes_that_matter(cells: AnnData, n_genes: int) -> NDArray[np.intp]:
    """Columns of the genes that stand first for some unit: in what it is read from, or in what names it."""
    model = cells.uns["ae"]["model"]
    residual, covariance = model["training"]["input_residual"], model["training"]["unit_covariance"]
    readout = np.asarray(model["training"]["readout"], dtype=np.float64)
    deviation = np.sqrt(residual + np.einsum("gu,uv,gv->g", readout, covariance, readout))
    loadings = np.asarray(model["loadings"], dtype=np.float64)
    total = loadings.sum(axis=0)
    score = loadings**2 / np.where(total > 0, total, 1)
    orders = [(-np.abs(model["encoder"]) * deviation).argsort(axis=1), (-score).argsort(axis=1)]
    by_turns = np.concatenate(orders).T.ravel()  # the first of each unit, the second of each, …
    _, first = np.unique(by_turns, return_index=True)
    return np.sort(by_turns[np.sort(first)[:n_genes]])


def some_of_each(labels: Any, most: int) -> NDArray[np.intp]:  # noqa: ANN401
    """Rows of at most so many cells of each label."""
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(labels == label))[:most] for label in labels.cat.categories]
    return np.sort(np.concatenate(rows))


def reduced(cells: AnnData, genes: NDArray[np.intp], rows: NDArray[np.intp]) -> AnnData:
    """These cells and genes, with the model for these genes and what is known of its units."""
    part = cells[rows, genes]
    blood = ad.AnnData(part.X.copy(), obs=part.obs.copy(), var=part.var[["gene_ids"]].copy())
    fitted = read_with(read_source(cells, "ae"), blood).fitted
    fitted = Fitted.from_dict(rounded(fitted.as_dict()), fitted.config.as_dict(), fitted.history.as_dict())
    source, counts = open_cells(blood, fitted, layer=None)
    units = encode(fitted.network, source, batch_size=512, device="cpu")
    also = {"replication": cells.uns["ae"]["replication"]}
    store_model(blood, fitted, units, counts, key="ae", layer=None, also=also)
    blood.uns["ae_units"] = cells.uns["ae_units"]
    blood.uns["source"] = SOURCE
    return blood


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    """The same, with fewer bits in each number, which packs better."""
    return {name: _rounded(value) for name, value in values.items()}


def _rounded(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return rounded(value)
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    mantissa, exponent = np.frexp(value)
    return np.ldexp(np.round(mantissa * 2**BITS) / 2**BITS, exponent).astype(value.dtype)


if __name__ == "__main__":
    main()
