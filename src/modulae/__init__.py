"""modulae: which biological programmes govern these cells, where is each active, and why do two groups differ."""

from importlib.metadata import version

from . import datasets, get, metrics, pl, pp, presets, tl
from .gene_sets import read_gene_sets
from .model_file import load_model, save_model

__version__ = version("modulae")

__all__ = [
    "__version__",
    "datasets",
    "get",
    "load_model",
    "metrics",
    "pl",
    "pp",
    "presets",
    "read_gene_sets",
    "save_model",
    "tl",
]
