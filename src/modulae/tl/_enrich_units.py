"""Sets × units: which gene sets each unit responds to more than to other genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae import get
from modulae._adata.changeable import changeable
from modulae._adata.counts import read_cells
from modulae._adata.found_sets import MIN_GENES, MIN_SHARE, match_sets, tested_sizes
from modulae._adata.gene_names import check_genes
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import read_model
from modulae._adata.stored.results import SALIENCY
from modulae._adata.stored.steps import step
from modulae._adata.stored.write_model import result_name
from modulae._utils.progress import progress_bar
from modulae._utils.reach import warn_out_of_reach
from modulae.core.checks import check_integer, check_seed
from modulae.core.inference.saliency import mean_saliency
from modulae.core.scores.expression_bins import expression_bins
from modulae.core.statistics.matched_sets import MatchedSets, variance_inflation
from modulae.core.statistics.multiple_tests import false_discovery_rates
from modulae.core.statistics.prerank import prerank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.fitted import Fitted

METHODS = ("gradient", "guided")
"""Saliencies for which the p-values were found to hold; those times the input follow expression."""


@public
def enrich_units(
    adata: AnnData,
    gene_sets: Mapping[str, Sequence[str]] | pd.DataFrame | str | Path,
    *,
    key: str = DEFAULT_KEY,
    saliency: str | None = None,
    group: str | None = None,
    min_genes: int = MIN_GENES,
    min_share: float = MIN_SHARE,
    max_genes: int | None = None,
    n_permutations: int = 1000,
    seed: int = 0,
    layer: str | None = None,
    batch_size: int = 128,
    device: str = "auto",
    progress: bool | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Test which gene sets each programme responds to more than to other genes.

    Genes are ranked by their mean signed saliency, so a set can be enriched at either end: its genes raise the unit, or
    lower it. There are three p-values, each with its q (Benjamini–Hochberg over all units and sets):

    - `p`, the one to use: against genes of about the same mean count that the model responds to as strongly (z test).
    - `p_correlated`: the same, with the variance inflated for genes that vary together, as in CAMERA [2]_.
    - `p_prerank`: gene set enrichment analysis [1]_ against random genes. Too small for highly expressed sets.

    :doc:`/method/method` says what each of them means. None of them says whether other cells would give the unit again.

    Parameters
    ----------
    {adata}
    {gene_sets}
    {key}
    saliency
        Name of a signed gradient, plain or guided, in `adata.varm`, from :func:`modulae.tl.saliency`; the plain
        gradient over all cells, worked out anew, if `None`.
    {group}
    {min_genes}
    {min_share}
    max_genes
        Leave out sets with more genes in the model; no limit if `None`.
    n_permutations
        Random sets of each size, for the null of `nes` and `p_prerank`. The smallest `p_prerank` is 1 / (n + 1), with n
        the random sets of the same sign, about half of them; a warning says so where `q_prerank` can't reach 0.05
        whatever the data. `p` and `p_correlated` need none, and have no such floor.
    seed
        Seed of the random sets, and of the order of genes with equal saliencies.
    {model_layer}
    {batch_size_inference}
    {device}
    {progress}
    {key_added=enrichment}
    {copy}

    Returns
    -------
    {returns}

    `adata.uns[f'{key}_enrichment']` : `dict`, read with :func:`modulae.get.enrichment`
        {set_entries}
        - `"variance_inflation"` (`float64`, sets): how much more the mean of the set varies than that of genes like its
          own, because its genes vary together.
        - `"es"`, `"nes"` (`float64`, sets × units): enrichment score, and normalised by the null.
        - `"effect"` (`float64`, sets × units): mean saliency of the set, the unscaled impact.
        - `"null_mean"` (`float64`, sets × units): mean saliency of similar genes.
        - `"z"` (`float64`, sets × units): the difference of the two, in standard deviations.
        - `"p"`, `"p_correlated"`, `"p_prerank"` (`float64`, sets × units): p-values; 1 if all saliencies are equal.
        - `"q"`, `"q_correlated"`, `"q_prerank"` (`float64`, sets × units): false discovery rates.
        - `"genes"` (`object`): the genes of all sets, one set after the other.
        - `"leading_edge"` (unsigned integers, those genes × units): rank of a gene in the leading edge of its set: 1
          for the most extreme gene, 0 for one that is not in it.
        - `of_model`, `saliency`, `group` and the other settings.

    Raises
    ------
    KeyError
        No such model, layer, saliency or group.
    ValueError
        No set of the right size is left, or the saliency has no sign, is multiplied by the input, or is of another
        model.

    See Also
    --------
    modulae.get.enrichment : The result as a table.
    modulae.pl.enrichment : The result as a picture.
    modulae.tl.unit_summary : One row for each unit, with its best gene set.

    References
    ----------
    .. [1] Subramanian A et al. (2005). Gene set enrichment analysis. PNAS 102:15545–15550, Appendix; weight 1.
    .. [2] Wu D, Smyth GK (2012). Camera: a competitive gene set test accounting for inter-gene correlation. Nucleic
       Acids Research 40:e133.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.enrich_units(adata, mo.datasets.immune_signatures(), n_permutations=20)
    >>> adata.uns["ae_enrichment"]["p"].shape
    (20, 32)
    """
    name = result_name(adata, key_added, Fields(key).enrichment, "enrich_units")
    check_integer("n_permutations", n_permutations, minimum=1)
    check_seed(seed)
    why = f"n_permutations={n_permutations} is too few"
    warn_out_of_reach(1 / (n_permutations + 1), why=why, p="p_prerank", instead="Take 1000 or more, or leave it out.")
    fitted = read_model(adata, key)
    check_genes(adata, fitted)
    tested = match_sets(adata, gene_sets, fitted.genes, tested_sizes(min_genes, min_share, max_genes))
    stored = None if saliency is None else _stored(adata, fitted, key, saliency, group)
    if stored is None and group is not None:
        msg = f"group={group!r} needs a saliency made with groupby: name it in saliency=, or leave out group=."
        raise ValueError(msg)
    layer = counts_layer(adata, key, layer)
    cells = read_cells(adata, fitted, layer=layer)
    if stored is None:
        stored = mean_saliency(fitted.network, cells, batch_size=batch_size, device=device)[0]
    sets = tested.positions
    result = _against_matched_sets(stored, cells, sets, batch_size)
    with progress_bar(len(sets), "random sets", "set", progress=progress) as bar:
        ranked = prerank(stored, sets, n_permutations=n_permutations, seed=seed, after_size=bar.update)
    result |= {"es": ranked.es, "nes": ranked.nes, "p_prerank": ranked.p}

    adata = changeable(adata, copy=copy)
    adata.uns[name] = {
        "of_model": key,
        "saliency": saliency,
        "group": group,
        "max_genes": max_genes,
        "n_permutations": n_permutations,
        "seed": seed,
        **tested.stored(),
        "genes": np.asarray(fitted.genes[np.concatenate(sets)], dtype=object),
        "leading_edge": ranked.leading,
        **result,
        **{f"q{name[1:]}": false_discovery_rates(p) for name, p in result.items() if name.split("_")[0] == "p"},
    }
    return adata if copy else None


def _stored(adata: AnnData, fitted: Fitted, key: str, name: str, group: str | None) -> NDArray[np.float32]:
    """Genes of the model × units, from `adata.varm`."""
    entry = SALIENCY.find(adata, key=key, result=name, argument="saliency").entry
    if not entry["signed"] or entry["method"] not in METHODS:
        run = step("tl.saliency", key=key, key_added=f"{name}_signed")
        msg = (
            f"saliency {name!r} was made with method={entry['method']!r}, signed={bool(entry['signed'])}; the p-values "
            f"hold for signed ones of {list(METHODS)}. Make one with {run}, or leave out saliency=."
        )
        raise ValueError(msg)
    values: NDArray[np.float32] = (
        get.saliency(adata, key=key, result=name, group=group).loc[list(fitted.genes)].to_numpy()
    )
    if not np.isfinite(values).all():
        run = step("tl.saliency", key=key, key_added=name)
        msg = f"saliency {name!r} lacks values for genes of the model. Run {run} again."
        raise ValueError(msg)
    return values


def _against_matched_sets(
    saliency: NDArray[np.float32], cells: Source, sets: list[NDArray[np.intp]], batch_size: int
) -> dict[str, NDArray[np.float64]]:
    """Every set beside sets of genes like its own: of like expression, and read as strongly over all units."""
    from scipy.stats import norm

    strength = np.sqrt((saliency.astype(np.float64) ** 2).mean(axis=1))
    mean_count = cells.gene_totals() / len(cells)
    matched = MatchedSets.of(sets, expression_bins(strength, mean_count))
    effect, null_mean, z = matched.z(saliency)
    inflation = variance_inflation(cells, strength, matched, batch_size=batch_size)
    return {
        "effect": effect,
        "null_mean": null_mean,
        "z": z,
        "variance_inflation": inflation,
        "p": 2 * norm.sf(np.abs(z)),
        "p_correlated": 2 * norm.sf(np.abs(z) / np.sqrt(inflation)[:, None]),
    }
