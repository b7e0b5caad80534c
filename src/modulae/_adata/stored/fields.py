"""Every name that modulae writes into an AnnData, in one place."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_KEY = "ae"
DEFAULT_MASK = "in_gene_sets"
DEFAULT_VARIABLE = "variable"
DEFAULT_GATE = "gate"


@dataclass(frozen=True, slots=True)
class Fields:
    """The names that belong to one trained model.

    Parameters
    ----------
    key
        Name of the model, as given to `tl.autoencoder(key_added=...)`.
    """

    key: str = DEFAULT_KEY

    @property
    def model(self) -> str:
        """`uns`: parameters, history and weights of the model."""
        return self.key

    @property
    def representation(self) -> str:
        """`obsm`: cells × units."""
        return f"X_{self.key}"

    @property
    def genes(self) -> str:
        """`var`: whether the model was trained on the gene."""
        return f"{self.key}_gene"

    @property
    def loadings(self) -> str:
        """`varm` (numbers) and `uns` (whose they are): genes × units, what the units decode to."""
        return f"{self.key}_loadings"

    def snapshot(self, epoch: int) -> str:
        """`obsm`: the representation as it was after `epoch` epochs of training."""
        return f"X_{self.key}_epoch{epoch}"

    @property
    def denoised(self) -> str:
        """`layers`: the decoded rates."""
        return f"{self.key}_denoised"

    def saliency(self, groupby: str | None = None) -> str:
        """`varm` (numbers) and `uns` (how they were made): genes × units, or genes × units × groups."""
        return f"{self.key}_saliency" if groupby is None else f"{self.key}_saliency_{groupby}"

    def impact(self, groupby: str | None = None) -> str:
        """`uns`: sets × units, or groups × sets × units."""
        return f"{self.key}_impact" if groupby is None else f"{self.key}_impact_{groupby}"

    def rank(self, groupby: str | None = None) -> str:
        """`uns`: which units differ between groups, comparisons × units."""
        return f"{self.key}_rank" if groupby is None else f"{self.key}_rank_{groupby}"

    @property
    def pathways(self) -> str:
        """`obsm` (scores) and `uns` (how they were made): cells × sets."""
        return f"{self.key}_pathways"

    @staticmethod
    def percentile(name: str) -> str:
        """`obsm` or `obs`: the percentiles beside the scores called `name`."""
        return f"{name}_percentile"

    @property
    def novelty(self) -> str:
        """`obs` (numbers) and `uns` (whose they are): how unlike the training cells each cell is."""
        return f"{self.key}_novelty"

    @property
    def label(self) -> str:
        """`obs` (labels) and `uns` (how they were made): labels carried over from a reference."""
        return f"{self.key}_label"

    @staticmethod
    def confidence(name: str) -> str:
        """`obs`: how sure the labels called `name` are."""
        return f"{name}_confidence"

    @staticmethod
    def distance(name: str) -> str:
        """`obs`: how far from the nearest label each cell lies."""
        return f"{name}_distance"

    @property
    def joint(self) -> str:
        """`obsm` (these cells) and `uns` (the reference cells): UMAP of both together."""
        return f"X_{self.key}_joint"

    @property
    def on(self) -> str:
        """`obsm` (cells × units) and `uns` (how they were made): whether each unit is on."""
        return f"{self.key}_on"

    @staticmethod
    def callable(name: str) -> str:
        """`obsm`: whether the cells have counts enough for the calls called `name`."""
        return f"{name}_callable"

    @property
    def sanity(self) -> str:
        """`uns`: the explanation beside its controls."""
        return f"{self.key}_sanity"

    @property
    def units(self) -> str:
        """`uns`: what is said of each unit."""
        return f"{self.key}_units"

    @property
    def enrichment(self) -> str:
        """`uns`: which gene sets each unit responds to more than to other genes."""
        return f"{self.key}_enrichment"

    def umap(self, what: str | None = None) -> str:
        """`obsm`: UMAP of the representation, of the `"input"`, or of a snapshot (`"epoch10"`)."""
        return f"X_{self.key}_umap" if what is None else f"X_{self.key}_umap_{what}"
