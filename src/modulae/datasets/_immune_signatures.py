"""Marker genes of immune cells, shipped with the package."""

from __future__ import annotations

from importlib.resources import as_file, files

from modulae._genes.gene_sets import read_gene_sets
from modulae._utils.by_name import by_name


@by_name
def immune_signatures() -> dict[str, list[str]]:
    """Return 20 sets of marker genes of human immune cells and of programmes that run in them.

    Twelve to 21 genes per set, by HGNC symbol: lymphocytes, monocytes, dendritic cells, progenitors, platelets, the red
    lineage; proliferation, the response to interferon, MHC class II and the respiratory chain. Our own compilation, for
    tutorials and first looks: for a study take a curated collection, such as MSigDB (:func:`modulae.read_gene_sets`).
    Some genes are in two sets. Needs no network. All sets have four genes or more in :func:`modulae.datasets.pbmc68k`,
    and at least a quarter of theirs.

    Returns
    -------
    `dict`
        Set name → genes.

    See Also
    --------
    modulae.read_gene_sets : Read other gene sets.

    Notes
    -----
    Compiled after: Murphy K, Weaver C (2016), *Janeway's Immunobiology*, 9th edition, Appendix II, for surface
    molecules and lineages; Zheng GXY et al. (2017), *Nature Communications* 8:14049, and the Seurat and scanpy
    tutorials, for markers of blood cells in droplet data; Villani AC et al. (2017), *Science* 356:eaah4573, for
    dendritic cells and monocytes; Novershtern N et al. (2011), *Cell* 144:296–309, for stem cells, platelets and the
    red lineage; Schoggins JW et al. (2011), *Nature* 472:481–485, for interferon; Tirosh I et al. (2016), *Science*
    352:189–196, for proliferation.

    Examples
    --------
    >>> gene_sets = mo.datasets.immune_signatures()
    >>> len(gene_sets)
    20
    >>> "CD19" in gene_sets["B_CELL"]
    True
    """
    with as_file(files("modulae.datasets") / "immune_signatures.gmt") as path:
        return read_gene_sets(path)
