"""UMAP of the input and of the representation, with the same settings, to be drawn side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.counts import read_cells
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.layouts import MOST_PLACED, among_all, cells_to_place, umap_layout
from modulae._adata.stored.models import read_model
from modulae._adata.stored.ownership import ROW_STAMPS, refuse_result_over_others, rows_stamp
from modulae._adata.stored.representation import model_units
from modulae.core.checks import check_integer, check_seed
from modulae.core.data.principal_components import principal_components
from modulae.core.data.stored_cells import StoredCells

if TYPE_CHECKING:
    from anndata import AnnData

    from modulae.core.data.source import Source


@public
def embeddings(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    layer: str | None = None,
    n_neighbors: int = 15,
    n_pcs: int | None = 50,
    max_cells: int = MOST_PLACED,
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Compute UMAPs of what the encoder reads, of the representation, and of every snapshot of it.

    The paper's Fig. 1a/c and S2 (Kinalis et al. 2019 [1]_); scanpy's `neighbors` and `umap` do the work. A pretty
    picture is no proof of a good model: snapshots from before training can look as tidy (:doc:`/guide/reading_units`).

    Parameters
    ----------
    {adata}
    {key}
    {model_layer}
    {n_neighbors}
    n_pcs
        Principal components of the input to build its graph from; `None` takes the genes themselves, as the paper does.
    max_cells
        Largest number of cells to lay out. Where there are more, random cells are laid out, and the others are NaN.
    {seed}
    {copy}

    Returns
    -------
    {returns}

    `adata.obsm[f'X_{key}_umap_input']` : :class:`numpy.ndarray` (`float32`, cells × 2)
        UMAP of what the encoder reads: log1p of the size-corrected counts of the model's genes.
    `adata.obsm[f'X_{key}_umap']` : :class:`numpy.ndarray` (`float32`, cells × 2)
        UMAP of the representation.
    `adata.obsm[f'X_{key}_umap_epoch{n}']` : :class:`numpy.ndarray` (`float32`, cells × 2)
        UMAP of each snapshot asked for with `tl.autoencoder(snapshot_epochs=...)`.
    `adata.uns`, under each of these names : `dict`
        The settings.

    Raises
    ------
    KeyError
        No such model, layer or representation.
    ValueError
        Too few cells for a graph, or a number that makes no sense.

    See Also
    --------
    modulae.pl.embeddings : Draw them.

    References
    ----------
    {kinalis_2019}

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, snapshot_epochs=[0], n_splits=0, max_epochs=2)
    >>> mo.tl.embeddings(adata)
    >>> sorted(name for name in adata.obsm if name.startswith("X_ae_umap"))
    ['X_ae_umap', 'X_ae_umap_epoch0', 'X_ae_umap_input']
    """
    check_seed(seed)
    check_integer("n_neighbors", n_neighbors, minimum=2)
    if n_pcs is not None:
        check_integer("n_pcs", n_pcs, minimum=1)
    check_integer("max_cells", max_cells, minimum=1)
    fitted = read_model(adata, key)
    fields = Fields(key)
    if min(adata.n_obs, max_cells) <= n_neighbors:
        msg = f"{min(adata.n_obs, max_cells)} cells are too few for {n_neighbors} neighbours. Use fewer: n_neighbors=."
        raise ValueError(msg)
    units = np.asarray(model_units(adata, key))
    for name in (fields.umap("input"), fields.umap()):
        refuse_result_over_others(adata, name, "embeddings")
    layer = counts_layer(adata, key, layer)
    cells = read_cells(adata, fitted, layer=layer)
    rows = cells_to_place(adata.n_obs, max_cells, seed)

    def lay_out(values: Any) -> Any:  # noqa: ANN401
        return among_all(umap_layout(values, n_neighbors, seed), rows, adata.n_obs)

    some = cells if len(rows) == adata.n_obs else cells.take(rows)
    result = {fields.umap("input"): lay_out(_reduced(some, n_pcs, seed)), fields.umap(): lay_out(units[rows])}
    for epoch in fitted.config.snapshot_epochs:
        if fields.snapshot(epoch) in adata.obsm:
            result[fields.umap(f"epoch{epoch}")] = lay_out(np.asarray(adata.obsm[fields.snapshot(epoch)])[rows])

    adata = changeable(adata, copy=copy)
    for name, points in result.items():
        about = {"of_model": key, "n_neighbors": n_neighbors, "n_pcs": n_pcs, "seed": seed}
        adata.uns[name] = {**about, ROW_STAMPS: rows_stamp(points)}
        adata.obsm[name] = points
    return adata if copy else None


def _reduced(cells: Source, n_pcs: int | None, seed: int) -> Any:  # noqa: ANN401
    import scanpy as sc

    if isinstance(cells, StoredCells) and n_pcs is not None and n_pcs < min(len(cells), cells.n_genes):
        return principal_components(cells, n_pcs, seed=seed)
    inputs = cells.load().sparse_inputs()
    if n_pcs is None or min(inputs.shape) <= n_pcs:
        return inputs
    return sc.pp.pca(inputs, n_comps=n_pcs, random_state=seed)
