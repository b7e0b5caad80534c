"""Gene sets from reference samples: what marks one population against the others."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse

from modulae._adata.columns.groups import contrasts, membership
from modulae._adata.gene_names import gene_names
from modulae._adata.public import public
from modulae._counts.layers import matrix_of
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import counted, listed
from modulae.core.checks import check_choice, check_integer, check_number
from modulae.core.data.csr import as_csr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae._adata.columns.groups import Contrast

SignatureMethod = Literal["log_fold_change", "t-test_overestim_var", "t-test"]
Direction = Literal["up", "down"]

NO_LOGARITHM = 50
"""A log2 of 50 would be a number with 15 digits: whatever is larger was never on a log scale."""


@public
def signatures(
    reference: AnnData,
    *,
    groupby: str,
    groups: Sequence[str] | None = None,
    n_genes: int = 100,
    method: SignatureMethod = "log_fold_change",
    direction: Direction = "up",
    min_log_fold_change: float = 0.0,
    layer: str | None = None,
) -> dict[str, list[str]]:
    """Derive gene sets from reference samples: the genes that set one population apart from the others.

    The paper derives its haematopoietic signatures in this way, with limma on the DMAP study (Kinalis et al. 2019
    [1]_). Here genes are ranked by the log-fold change, or by a t statistic of :func:`scanpy.tl.rank_genes_groups`. On
    DMAP the log-fold change names the cell types of other cells better; with true replicates all three do equally well
    (:doc:`/benchmarks/paper_signatures`).

    Parameters
    ----------
    reference
        Samples × genes, on a log scale: a microarray or bulk RNA study of purified populations, or means of single
        cells by donor. It is not changed.
    groupby
        `obs` column with the population of each sample. Samples without a label are left out.
    groups
        Populations to give a set to, each still against all others; all if `None`.
    n_genes
        Genes in a set at most, the best first.
    method
        What genes are ranked by. `"log_fold_change"`: the mean of the population minus the mean of the others, which
        needs one sample only and takes no account of the spread between samples. `"t-test"` (Welch) and
        `"t-test_overestim_var"` need two samples or more of a population; the second takes the sample size of the
        others to be no larger than that of the population, so that a chance agreement of two or three replicates weighs
        less.
    direction
        Genes that are `"up"` in the population, or `"down"`.
    min_log_fold_change
        Least difference of the means, in the units of the data (1 is twofold on a log2 scale).
    layer
        Layer with the log expression; `.X` if `None`.

    Returns
    -------
    Population → genes, in the order of the categories, ready for :func:`modulae.tl.pathway_impact`. A population
    without any such gene is left out, with a warning.

    Raises
    ------
    KeyError
        No such column, population or layer.
    TypeError
        Settings, or expression values, of another kind.
    ValueError
        Less than two populations, a single sample where a test needs two, gene names that are not unique, missing or
        infinite values, or no gene in any set.

    See Also
    --------
    modulae.read_gene_sets : Read gene sets from a file or a table.
    modulae.tl.pathway_impact : Which units respond to them.

    References
    ----------
    {kinalis_2019}

    Examples
    --------
    >>> import scanpy as sc
    >>> reference = sc.datasets.pbmc68k_reduced().raw.to_adata()
    >>> signatures = mo.tl.signatures(reference, groupby="bulk_labels", n_genes=10)
    >>> len(signatures), len(signatures["CD19+ B"])
    (10, 10)
    """
    _check_settings(n_genes, method, direction, min_log_fold_change)
    genes = gene_names(reference)
    plan = contrasts(*membership(reference, groupby), groups=groups, reference=None, groupby=groupby)
    _check_replicates(plan, method)
    values = _log_expression(reference, layer)
    sign = 1 if direction == "up" else -1

    result, empty = {}, []
    for name, members, others in zip(plan.groups, plan.members, plan.reference_members, strict=True):
        change = sign * (_mean(values, members) - _mean(values, others))
        score = change if method == "log_fold_change" else sign * _t_statistic(values, members, others, method)
        order = np.argsort(-score, kind="stable")  # equal scores stay in the order of the genes
        order = order[(change[order] > 0) & (change[order] >= min_log_fold_change)][:n_genes]
        if len(order):
            result[name] = [str(gene) for gene in genes[order]]
        else:
            empty.append(name)
    advice = f"Lower min_log_fold_change (it is {min_log_fold_change:g}), or look at the values."
    if not result:
        msg = f"no gene is {direction} in any population of {groupby!r}. {advice}"
        raise ValueError(msg)
    if empty:
        warnings.warn(
            f"{counted(len(empty), 'population has', 'populations have')} no gene that is {direction}, and no set: "
            f"{listed(empty)}. {advice}",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    return result


def _check_settings(n_genes: int, method: SignatureMethod, direction: Direction, min_log_fold_change: float) -> None:
    check_integer("n_genes", n_genes, minimum=1, give="a whole number of at least 1, such as 100")
    check_choice("method", method, SignatureMethod)
    check_choice("direction", direction, Direction)
    give = "0 or more, such as 1 (twofold on a log2 scale). For genes that are down: direction='down'"
    check_number("min_log_fold_change", min_log_fold_change, minimum=0, give=give)


def _check_replicates(plan: Contrast, method: SignatureMethod) -> None:
    if method == "log_fold_change":
        return
    pairs = zip(plan.groups, plan.members.sum(axis=1), plan.reference_members.sum(axis=1), strict=True)
    single = [name for name, *sizes in pairs if min(sizes) < 2]
    if single:
        msg = (
            "a t statistic needs two samples on both sides, and there are fewer "
            f"for {listed(single)}. Join related populations under one label in groupby=, leave these out "
            "with groups=, or rank by method='log_fold_change'."
        )
        raise ValueError(msg)


def _log_expression(reference: AnnData, layer: str | None) -> Any:  # noqa: ANN401
    """Checked values, samples × genes, float64; sparse if they are."""
    matrix = matrix_of(reference, layer)
    where = ".X" if layer is None else f"layer {layer!r}"
    if matrix is None or 0 in reference.shape:
        msg = f"the reference has no values in {where}. Give samples × genes, or name a layer: layer=."
        raise ValueError(msg)
    if hasattr(matrix, "to_memory"):
        matrix = matrix.to_memory()
    if matrix.dtype.kind not in "biuf":
        msg = f"{where} of the reference holds {matrix.dtype}, not numbers. Convert it, or name another layer."
        raise TypeError(msg)
    is_sparse = sparse.issparse(matrix)
    values: Any = (as_csr(matrix) if is_sparse else np.asarray(matrix)).astype(np.float64)
    known = values.data if is_sparse else values
    if not np.isfinite(known).all():
        msg = f"{where} of the reference has missing or infinite values. Fill them in, or leave these genes out."
        raise ValueError(msg)
    if known.size and (np.max(known) > NO_LOGARITHM or (known == np.rint(known)).all()):
        warnings.warn(
            f"{where} of the reference does not look like log expression (whole numbers, or values above "
            f"{NO_LOGARITHM}), so that the highest genes lead every set. Take logarithms first: "
            "`sc.pp.normalize_total(reference)`, `sc.pp.log1p(reference)`.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    return values


def _mean(values: Any, rows: NDArray[np.bool_]) -> NDArray[np.float64]:  # noqa: ANN401
    return np.asarray(values[np.flatnonzero(rows)].mean(axis=0)).ravel()


def _t_statistic(
    values: Any,  # noqa: ANN401
    members: NDArray[np.bool_],
    others: NDArray[np.bool_],
    method: SignatureMethod,
) -> NDArray[np.float64]:
    """Welch's t of every gene, from scanpy; 0 where nothing varies."""
    import pandas as pd
    import scanpy as sc
    from anndata import AnnData

    rows = np.flatnonzero(members | others)
    side = pd.Categorical(np.where(members[rows], "population", "others"))
    samples = AnnData(values[rows], obs=pd.DataFrame({"side": side}, index=[str(row) for row in rows]))
    samples.uns["log1p"] = {"base": 2}  # of the fold changes that scanpy adds, which nothing here reads
    sc.tl.rank_genes_groups(samples, "side", groups=["population"], reference="others", method=method, use_raw=False)
    table = sc.get.rank_genes_groups_df(samples, "population").set_index("names")
    return np.asarray(table["scores"].reindex(samples.var_names), dtype=np.float64)
