"""How well clusters of a representation agree with labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.columns.labels import read_labels
from modulae._adata.public import public
from modulae._adata.stored.fields import Fields
from modulae._adata.stored.representation import check_field
from modulae._utils.text import choose
from modulae.core.checks import check_integer, check_seed

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


@public
def clustering_nmi(
    adata: AnnData,
    *,
    labels: str,
    use_rep: str = Fields().representation,
    n_clusters: int | None = None,
    n_runs: int = 20,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Normalised mutual information between k-means clusters and labels, over several runs.

    Kinalis et al. (2019), Results: 20 runs of k-means on the representation against Seurat's labels gave 0.761.

    Parameters
    ----------
    {adata}
    labels
        `obs` column; cells without a label are left out.
    use_rep
        `obsm` field to cluster.
    n_clusters
        Number of clusters; as many as there are labels if `None`.
    n_runs
        Runs, each from one random start.
    {seed}

    Returns
    -------
    :class:`numpy.ndarray` (`float64`, runs)
        The NMI of each run (arithmetic mean in the denominator, as scikit-learn does), in [0, 1].

    Raises
    ------
    KeyError
        No such column or field.

    See Also
    --------
    modulae.tl.search : The same for many settings.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.metrics.clustering_nmi(adata, labels="bulk_labels", n_runs=3).shape
    (3,)
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import normalized_mutual_info_score

    check_seed(seed)
    check_integer("n_runs", n_runs, minimum=1)
    check_field(adata, use_rep)
    named = read_labels(adata, labels, "labels", most_numbers=None)
    if use_rep not in adata.obsm:
        msg = f"adata.obsm has no {use_rep!r}. {choose(adata.obsm, 'run `mo.tl.autoencoder(adata)`')}"
        raise KeyError(msg)
    known = named.codes >= 0
    truth = named.codes[known]
    points = np.asarray(adata.obsm[use_rep])[known]
    k = len(named.names) if n_clusters is None else n_clusters
    runs = [KMeans(k, n_init=1, random_state=seed + run).fit_predict(points) for run in range(n_runs)]
    return np.array([normalized_mutual_info_score(truth, clusters) for clusters in runs])
