"""One page that explains every programme."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from modulae._adata.found_sets import MIN_GENES, MIN_SHARE, tested_sizes
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._utils.files import check_writable, write_whole
from modulae.core.checks import check_integer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData

NEEDED_PACKAGES = ("jinja2", "bokeh")


@public
def report(
    adata: AnnData,
    path: str | Path = "modules.html",
    *,
    gene_sets: Mapping[str, Sequence[str]] | pd.DataFrame | str | Path | None = None,
    groupby: str | Sequence[str] | None = None,
    min_genes: int = MIN_GENES,
    min_share: float = MIN_SHARE,
    key: str = DEFAULT_KEY,
    basis: str | None = None,
    title: str | None = None,
    max_cells: int = 20_000,
    seed: int = 0,
    layer: str | None = None,
    batch_size: int = 128,
    device: str = "auto",
    progress: bool | None = None,
) -> Path:
    """Write one HTML page that shows every programme. It opens from the disk and needs no network.

    Every programme that has an effect has a card: its name, how surely it would be found again, a map of its activity,
    its genes, gene sets and groups, and reasons to doubt it. The most important come first, and those that may be
    chance last. :doc:`/guide/report` shows the page.

    What has not been run is worked out on a copy and named at the end of the page, and `adata` is not changed:
    :func:`modulae.tl.unit_summary`, :func:`modulae.tl.saliency`, :func:`modulae.tl.enrich_units` and a UMAP. Run these
    beforehand to keep their results. What takes many trainings or permutations is shown if it is there, and never run
    here: :func:`modulae.tl.sanity`, stability over seeds, and the p-values of :func:`modulae.tl.pathway_impact` and
    :func:`modulae.tl.rank_units`.

    Parameters
    ----------
    {adata}
    path
        File to write; one that is there is replaced.
    gene_sets
        Gene sets to explain the programmes by, in any form that :func:`modulae.read_gene_sets` reads. If `None` those
        of the stored :func:`modulae.tl.enrich_units`, or none.
    groupby
        One `obs` column or more, such as cell types and conditions; the first is that of the cards. If `None` that of
        the stored :func:`modulae.tl.unit_summary`, and then those of stored :func:`modulae.tl.rank_units`.
    {min_genes}
    {min_share}
    {key}
    basis
        Layout in `adata.obsm`, cells × 2. If `None`, the first there is of `f"X_{key}_umap"`
        (:func:`modulae.tl.embeddings`), `"X_umap"` (scanpy) and a new UMAP of the representation.
    title
        Head of the page.
    max_cells
        Largest number of cells to draw. Where there are more, some are left out where cells lie dense, and the page
        says so; all numbers except those of the maps are over all cells.
    {seed}
    {model_layer}
    {batch_size_inference}
    {device}
    {progress}

    Returns
    -------
    :class:`pathlib.Path`
        The path of the file: UTF-8, about 2 MB, and 0.1 KB more for each cell that is drawn.

    Raises
    ------
    ImportError
        jinja2 or Bokeh are not installed.
    KeyError
        No such model, layer, `obs` column or layout, or the model's genes are missing.
    ValueError
        A column with too many groups, no gene set of the right size, or a number that makes no sense.
    FileNotFoundError, PermissionError
        No folder to write to, or none that may be written to.

    See Also
    --------
    modulae.tl.unit_summary : The numbers of the cards.
    modulae.pl.unit_summary : The same as a figure.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> page = mo.report(adata, "modules.html", groupby="bulk_labels", basis="X_umap_scanpy")
    >>> page.name
    'modules.html'
    """
    from modulae._genes.gene_sets import read_gene_sets

    from .context import context_of
    from .material import check, gather
    from .missing import Workplace, light_copy
    from .page import render

    target, layer = _check(path, max_cells), counts_layer(adata, key, layer)
    names = check(adata, key=key, groupby=groupby, basis=basis, layer=layer)
    sets = None if gene_sets is None else read_gene_sets(gene_sets)
    tested_sizes(min_genes, min_share, None).check()
    work = Workplace(light_copy(adata, layer), key, layer, seed, batch_size, device, progress, min_genes, min_share)
    material = gather(work, sets, names, basis)
    context = context_of(material, title=title, max_cells=max_cells, seed=seed)
    write_whole(target, render(context).encode())
    return target


def _check(path: str | Path, max_cells: int) -> Path:
    """Refuse before the work what would stop it after."""
    missing = [name for name in NEEDED_PACKAGES if find_spec(name) is None]
    if missing:
        msg = f"the report needs {' and '.join(missing)}, not installed here. Run `pip install 'modulae[report]'`."
        raise ImportError(msg)
    check_integer("max_cells", max_cells, minimum=1, give="a whole number of at least 1, such as 20000")
    target = Path(path)
    check_writable(target, "such as 'modules.html'")
    return target
