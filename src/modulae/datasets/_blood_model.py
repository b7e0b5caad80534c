"""A trained model of blood, for cells of anyone."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING

from modulae._utils.by_name import by_name

if TYPE_CHECKING:
    from anndata import AnnData

FILE = Path(__file__).with_name("blood_model.h5ad.gz")
"""Made by `python -m benchmarks.quality.make_blood_model`."""


@by_name
def blood_model() -> AnnData:
    """Load a model of human blood, the programmes that the default finds in pbmc3k, with labelled cells beside it.

    It is for :func:`modulae.tl.transfer`, which then reads your PBMC without training, and for
    :func:`modulae.tl.classify` and :func:`modulae.tl.joint_embedding`, which need the cells. Nothing is downloaded. The
    model was found in all 2638 cells and 13714 genes, and is kept for the genes that it needs.
    :doc:`/guide/blood_model` shows it on other blood, and says where it ends.

    Returns
    -------
    At most 40 cells of each type × 3000 genes.

    `.X` : :class:`scipy.sparse.csr_matrix` (`float32`)
        Raw counts.
    `.obs['cell_type']` : `category`
        Eight cell types, scanpy's annotated clusters.
    `.var['gene_ids']` : text
        Ensembl's identifiers of the genes.
    `.uns['ae']` : `dict`
        The model, as :func:`modulae.tl.autoencoder` writes it, with how surely each unit would be found again.
    `.uns['ae_units']` : `dict`, read with :func:`modulae.get.unit_summary`
        Names and numbers of the units, on all the cells.
    `.uns['source']` : text
        Where the cells are from.

    See Also
    --------
    modulae.tl.transfer : Reads other cells with it.
    modulae.tl.classify : Gives them the labels of these.
    modulae.datasets.pbmc3k : All the cells.

    Notes
    -----
    10x Genomics, 3k PBMC from a healthy donor, CC BY 4.0; the model is given under the same licence.

    Examples
    --------
    >>> cells, blood = mo.datasets.pbmc68k(), mo.datasets.blood_model()
    >>> mo.tl.transfer(cells, blood, min_reliability=0.5)  # these cells have a fifth of its genes
    >>> mo.tl.classify(cells, blood, labels="cell_type")
    >>> blood.obs["cell_type"].nunique()
    8
    """
    import h5py
    from anndata.io import read_elem

    with gzip.open(FILE) as packed, h5py.File(io.BytesIO(packed.read()), "r") as store:
        model: AnnData = read_elem(store)
    return model
