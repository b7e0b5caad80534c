"""Train one of the methods that modulae is compared with; runs in the environment of requirements.txt beside it.

    .venv-peers/bin/python benchmarks/peers/peers.py scVI cells.h5ad found.npz --epochs 400 --seed 0

`cells.h5ad` holds raw counts and `obs["learn"]`, the cells to learn from. `found.npz` gets `units` of all cells,
`loadings` (genes × units) where the method has them, `rates` of the cells not learnt from, `seconds` of CPU time that
learning took. The environment has no modulae: files are all that goes to and fro.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import scanpy as sc
from scipy import sparse

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

WARM_UP = 400
"""Epochs over which scVI and DRVI raise the weight of the Kullback-Leibler term, by their own defaults."""


def variational(name: str, cells: AnnData, given: argparse.Namespace) -> dict[str, Any]:
    """scVI, LinearSCVI or DRVI with the defaults of their authors, but for the epochs."""
    import scvi
    import torch

    torch.set_num_threads(1)
    scvi.settings.seed = given.seed
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    kind: Any = {"scVI": scvi.model.SCVI, "LinearSCVI": scvi.model.LinearSCVI, "DRVI": scvi.external.DRVI}[name]
    cells = most_variable(cells, given.genes) if given.genes else cells
    learn, new = (cells[which].copy() for which in (cells.obs["learn"], ~cells.obs["learn"]))
    kind.setup_anndata(learn)
    model = kind(learn)
    start = time.process_time()
    plan = {"n_epochs_kl_warmup": min(given.epochs, WARM_UP)}
    model.train(given.epochs, accelerator="cpu", plan_kwargs=plan, enable_progress_bar=False)
    seconds = time.process_time() - start
    model.module.eval()
    found: dict[str, Any] = {"units": model.get_latent_representation(cells), "seconds": seconds}
    if name == "LinearSCVI":
        found["loadings"] = model.get_loadings().to_numpy()
    if name == "DRVI":
        found["loadings"] = drvi_scores(model, learn)
    return found if given.genes else {**found, "rates": decoded(model, new)}


def decoded(model: Any, cells: AnnData) -> NDArray[np.float32]:  # noqa: ANN401
    """Decoded from the posterior mean, with the depth that the model sees in the cell."""
    import torch

    parts = []
    known = model._validate_anndata(cells)  # noqa: SLF001  # the public way draws from the posterior
    with torch.inference_mode():
        for tensors in model._make_data_loader(known):  # noqa: SLF001
            inference, _ = model.module.forward(tensors, compute_loss=False)
            inference["z"] = inference["qz"].loc
            means = model.module.generative(**model.module._get_generative_input(tensors, inference))  # noqa: SLF001
            parts.append(means["px"].mean.numpy())
    return np.concatenate(parts)


def drvi_scores(model: Any, learn: AnnData) -> NDArray[np.float64]:  # noqa: ANN401
    """Genes × units: what its authors rank the genes of a unit by, the better of the two directions with its sign."""
    embed = ad.AnnData(model.get_latent_representation(learn))
    model.set_latent_dimension_stats(embed)
    model.calculate_interpretability_scores(embed, methods="OOD")
    up, down = (np.asarray(embed.varm[f"OOD_combined_{end}"]) for end in ("positive", "negative"))
    return np.where(np.abs(up) >= np.abs(down), up, -down).T


def most_variable(cells: AnnData, n_genes: int) -> AnnData:
    """The genes that DRVI's authors would give it, chosen on the cells to learn from."""
    if n_genes >= cells.n_vars:
        return cells
    learn = cells[cells.obs["learn"]].copy()
    sc.pp.normalize_total(learn)
    sc.pp.log1p(learn)
    sc.pp.highly_variable_genes(learn, n_top_genes=n_genes, flavor="cell_ranger")
    return cells[:, learn.var["highly_variable"].to_numpy()].copy()


def cnmf(cells: AnnData, given: argparse.Namespace) -> dict[str, Any]:
    """Consensus NMF with the defaults of its authors; usages of all cells by their own refit.

    Of several numbers of programmes it takes the largest at which stability has a peak, as its authors do by eye.
    """
    from cnmf import cNMF

    known = np.asarray((cells[cells.obs["learn"]].X > 0).sum(axis=0)).ravel() > 0
    kept = cells[:, known]
    learn = kept[kept.obs["learn"]].copy()
    with tempfile.TemporaryDirectory() as folder:
        learn.write_h5ad(f"{folder}/learn.h5ad")
        start = time.process_time()
        model = cNMF(output_dir=folder, name="peers")
        model.prepare(f"{folder}/learn.h5ad", components=given.units, n_iter=given.runs, seed=given.seed)
        model.factorize(worker_i=0, total_workers=1)
        model.combine(skip_missing_files=False)
        n_units = last_peak(model, sorted(given.units))
        threshold = 0.5
        try:
            model.consensus(n_units, density_threshold=threshold, show_clustering=False, build_ref=False)
        except (RuntimeError, ValueError):  # no factorisation is like another: none is left out
            threshold = 2.0
            model.consensus(n_units, density_threshold=threshold, show_clustering=False, build_ref=False)
        seconds = time.process_time() - start
        _, scores, spectra, _ = model.load_results(n_units, threshold)
        variable = sc.read_h5ad(model.paths["normalized_counts"]).var_names
        totals = np.asarray(kept.X.sum(axis=1), dtype=np.float64).ravel()
        tpm = kept[:, variable].X.astype(np.float64).multiply(1e6 / totals[:, None]).tocsr()
        of_learn = tpm[kept.obs["learn"].to_numpy()]
        spread = np.sqrt(of_learn.power(2).mean(axis=0).A1 - of_learn.mean(axis=0).A1 ** 2)
        spread = spread * np.sqrt(learn.n_obs / (learn.n_obs - 1))  # as scanpy.pp.scale does
        of_variable = spectra.loc[variable].to_numpy().T / spread
        usage = model.refit_usage(sparse.csr_matrix(tpm.multiply(1 / spread)), of_variable)
    new = ~kept.obs["learn"].to_numpy()
    everywhere = np.full((cells.n_vars, n_units), 1e-4)
    everywhere[known] += spectra.to_numpy()
    loadings = np.zeros((cells.n_vars, n_units))
    loadings[known] = scores.to_numpy()
    return {
        "units": usage / usage.sum(axis=1, keepdims=True).clip(1e-12),
        "loadings": loadings,
        "rates": usage[new] @ everywhere.T * totals[new, None] / 1e6 + 1e-4,
        "seconds": seconds,
    }


def last_peak(model: Any, sizes: list[int]) -> int:  # noqa: ANN401
    """The largest number whose stability (silhouette) is above that of its neighbours, else the most stable one."""
    if len(sizes) == 1:
        return sizes[0]
    tried = [model.consensus(size, skip_density_and_return_after_stats=True, show_clustering=False) for size in sizes]
    stable = np.array([each.loc["silhouette", "stats"] for each in tried])
    peaks = np.flatnonzero((stable[1:-1] > stable[:-2]) & (stable[1:-1] >= stable[2:])) + 1
    return sizes[int(peaks[-1]) if len(peaks) else int(stable.argmax())]


def main() -> None:
    """Read, learn, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=("scVI", "LinearSCVI", "DRVI", "cNMF"))
    parser.add_argument("cells")
    parser.add_argument("found")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--genes", type=int, help="of DRVI: the most variable so many; then there are no rates")
    parser.add_argument("--units", type=int, nargs="+", default=[32], help="of cNMF: one, or some to choose from")
    parser.add_argument("--runs", type=int, default=100, help="of cNMF, for each number")
    given = parser.parse_args()
    cells = ad.read_h5ad(given.cells)
    if given.genes and given.genes >= cells.n_vars:
        given.genes = None
    warnings.simplefilter("ignore")
    learnt = cnmf(cells, given) if given.method == "cNMF" else variational(given.method, cells, given)
    np.savez_compressed(given.found, **learnt)


if __name__ == "__main__":
    main()
