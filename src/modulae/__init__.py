"""modulae: which biological programmes govern these cells, where is each active, and why do two groups differ."""

from typing import TYPE_CHECKING

from modulae._on_first_use import on_first_use

if TYPE_CHECKING:
    from . import datasets, get, metrics, pl, pp, presets, tl
    from ._genes.gene_sets import read_gene_sets
    from ._model_io.model_file import load_model, save_model
    from ._programmes.match_programmes import match_programmes
    from ._programmes.read_programmes import read_programmes
    from ._programmes.write_programmes import write_programmes
    from ._report.report import report
    from ._version import __version__

__all__ = [
    "__version__",
    "datasets",
    "get",
    "load_model",
    "match_programmes",
    "metrics",
    "pl",
    "pp",
    "presets",
    "read_gene_sets",
    "read_programmes",
    "report",
    "save_model",
    "tl",
    "write_programmes",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_first_use(
        __name__,
        __all__,
        {
            **{name: name for name in ("datasets", "get", "metrics", "pl", "pp", "presets", "tl")},
            "__version__": "_version",
            "load_model": "_model_io.model_file",
            "match_programmes": "_programmes.match_programmes",
            "read_gene_sets": "_genes.gene_sets",
            "read_programmes": "_programmes.read_programmes",
            "report": "_report.report",
            "save_model": "_model_io.model_file",
            "write_programmes": "_programmes.write_programmes",
        },
    )
