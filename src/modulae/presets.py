"""Published settings, as data: `mo.tl.autoencoder(adata, **modulae.presets.KINALIS_2019)`."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modulae.core.scores.explanation import ExplanationSettings
    from modulae.pp._gate_cells import Level

__all__ = [
    "KINALIS_2019",
    "KINALIS_2019_IMPACT",
    "KINALIS_2019_SCRIPTS",
    "KINALIS_2019_SCRIPTS_IMPACT",
    "VELTEN_2017_GATES",
]

KINALIS_2019: Mapping[str, Any] = MappingProxyType(
    {
        "architecture": "orthogonal",
        "n_latent": 64,
        "n_hidden": 128,
        "orthogonality": 0.05,
        "size_factors": None,
        "batch_size": 1,
        "learning_rate": 1e-3,
        "momentum": 0.9,
        "schedule": "constant",
        "patience": 10,
        "test_fraction": 0.05,
        "activation_beta": 1.0,
        "loss_scale": "counts",
        "output_bias": "constant",
    }
)
"""Keyword arguments of :func:`modulae.tl.autoencoder` as the paper has them.

Kinalis S, Nielsen FC, Winther O, Bagger FO (2019). Deconvolution of autoencoders to learn biological regulatory modules
from single cell mRNA sequencing data. BMC Bioinformatics 20:379, Methods. Raw counts go in, one cell per step. What the
text leaves open is taken from the authors' scripts for the PBMC and Paul data: learning rate, λ, and the 95/5 split.
"""

KINALIS_2019_SCRIPTS: Mapping[str, Any] = MappingProxyType(
    {
        **KINALIS_2019,
        "activation_beta": "width",
        "orthogonality_gradient": False,
        "test_every": 10,
    }
)
"""The same where the authors' scripts differ from their text (Kinalis et al. 2019, BMC Bioinformatics 20:379).

SoftPlus gets the width of its layer as β, which makes it a ReLU in effect; the penalty is computed on detached weights,
so that it moves nothing; and the held-out cells are looked at every tenth epoch.
"""

KINALIS_2019_IMPACT = cast(
    "ExplanationSettings", MappingProxyType({"method": "guided", "signed": False, "difference": "saliency"})
)
"""The paper's explanation: `mo.tl.pathway_impact(adata, gene_sets, explanation=KINALIS_2019_IMPACT)`.

Absolute values of guided backpropagation, and groups compared by their difference in impact (Kinalis et al. 2019, BMC
Bioinformatics 20:379, Methods). Any other function with `explanation=` takes it as well.
"""

KINALIS_2019_SCRIPTS_IMPACT = cast(
    "ExplanationSettings", MappingProxyType({**KINALIS_2019_IMPACT, "aggregate": "median", "scale": "set"})
)
"""The same as in the authors' scripts: medians over the genes of a set, and each set scaled over its units."""

_COMMON: dict[str, Level] = {"SSC": "low", "FSC": "mid", "lin": "low"}

_GATES: dict[str, dict[str, Level]] = {
    "MEP": {"CD38": "high", "CD34": "high", "CD10": "low", "CD135": "low", "CD45RA": "low"},
    "CMP": {"CD38": "high", "CD34": "high", "CD10": "low", "CD135": "high", "CD45RA": "low"},
    "GMP": {"CD38": "high", "CD34": "high", "CD10": "low", "CD135": "high", "CD45RA": "high"},
    "HSC": {"CD38": "low", "CD34": "high", "CD90": "high", "CD45RA": "low"},
    "MPP": {"CD38": "low", "CD34": "high", "CD90": "low", "CD45RA": "low"},
    "MLP": {"CD38": "low", "CD34": "high", "CD10": "high", "CD45RA": "high"},
}

VELTEN_2017_GATES: Mapping[str, Mapping[str, Level]] = MappingProxyType(
    {label: MappingProxyType({**_COMMON, **gate}) for label, gate in _GATES.items()}
)
"""Gates of :func:`modulae.pp.gate_cells` for six progenitors of human bone marrow.

Table 1 of Kinalis et al. (2019), BMC Bioinformatics 20:379, after Velten L et al. (2017), Human haematopoietic stem
cell lineage commitment is a continuous process, Nature Cell Biology 19:271–281. The table prints FSC (forward scatter)
as "FCS". MEP: megakaryocyte–erythroid, CMP: common myeloid, GMP: granulocyte–monocyte, MLP: multi-lymphoid progenitor;
HSC: haematopoietic stem cell; MPP: multipotent progenitor.
"""
