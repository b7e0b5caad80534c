"""What `modulae call`, `modulae rank` and `modulae programmes` do, but for `import`, which trains."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from modulae._utils.files import check_writable

from .files import opened

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    import pandas as pd

N_ROWS = 10
"""Rows of a table that are shown."""


def catalogue(options: argparse.Namespace) -> dict[str, Any]:
    """What `tl.autoencoder` is given of `modulae programmes import`."""
    import modulae as mo

    if options.command != "programmes":
        return {}
    programmes = mo.read_programmes(options.catalogue, scale=options.scale, genes_in=options.genes_in)
    return {"loadings": programmes, "refine_loadings": not options.fixed}


def call(options: argparse.Namespace) -> None:
    """In which cells programmes are on."""
    import modulae as mo
    from modulae._adata.stored.fields import Fields

    check_writable(options.output, "--output")
    if options.cells is not None:
        check_writable(options.cells, "--cells")
    given = {name: getattr(options, name) for name in ("fdr", "seed", "layer", "device", "key")}
    with opened(options.path) as file:
        mo.tl.call_units(file.adata, key_added="called", **given)
        table = mo.get.unit_calls(file.adata, key=options.key, result="called")
        on = mo.get.representation(file.adata, key=options.key).astype(object)
        on[:] = file.adata.obsm["called"]
        on = on.where(file.adata.obsm[Fields.callable("called")])
    if options.cells is not None:
        on.to_csv(options.cells)
        print(f"Written: {options.cells.resolve()}")
    _write(table, table[["name", "share_on", "share_called", "share_undecided"]], options.output, index=True)


def rank(options: argparse.Namespace) -> None:
    """Which programmes differ between groups."""
    import modulae as mo

    check_writable(options.output, "--output")
    with opened(options.path) as file:
        mo.tl.rank_units(
            file.adata,
            options.groupby,
            groups="all" if options.groups is None else options.groups,
            reference=options.reference,
            within=options.within,
            donor_key=options.donor_key,
            min_cells=options.min_cells,
            seed=options.seed,
            key=options.key,
            key_added="ranked",
        )
        table = mo.get.rank_units(file.adata, key=options.key, result="ranked")
    first = table.sort_values("p", kind="stable")[["within", "unit", "name", "group", "reference", "effect", "q"]]
    _write(table, first, options.output, index=False)


def export(options: argparse.Namespace) -> None:
    """The units of a model, as others read them."""
    import modulae as mo

    check_writable(options.output, "--output")
    with opened(options.path) as file:
        given = {name: getattr(options, name) for name in ("units", "format", "n_genes", "layer", "key")}
        units = options.units and [int(unit) if unit.isdecimal() else unit for unit in options.units]
        mo.write_programmes(file.adata, options.output, **{**given, "units": units})
    print(f"Written: {options.output.resolve()}")


def match(options: argparse.Namespace) -> None:
    """Which programme is which."""
    import modulae as mo

    check_writable(options.output, "--output")
    with ExitStack() as files:
        first, *others = (_model(path, files) for path in (options.first, *options.others))
        named = dict(zip(_names(options.others), others, strict=True))
        second = others[0] if len(others) == 1 else named
        table = mo.match_programmes(
            first, second, of=options.of, max_q=options.max_q, seed=options.seed, key=options.key
        )
    _write(table, table, options.output, index=True)


def _model(path: Path, files: ExitStack) -> Any:  # noqa: ANN401
    """Cells with a model, or a catalogue, which is read where it is compared."""
    if path.suffix in {".h5ad", ".zarr"}:
        return files.enter_context(opened(path)).adata
    return path


def _names(paths: list[Path]) -> list[str]:
    """What several are called: by their files, and by the folders where these have the same name."""
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]


def _write(table: pd.DataFrame, shown: pd.DataFrame, output: Path, *, index: bool) -> None:
    table.to_csv(output, index=index)
    print(shown.head(N_ROWS).to_string(index=index, float_format="{:.3g}".format))
    if len(shown) > N_ROWS:
        print(f"… and {len(shown) - N_ROWS} more rows.")
    print(f"Written: {output.resolve()}")
