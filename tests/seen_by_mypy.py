"""What a type checker must see through the names that are imported late: mypy reads this, nothing runs it.

mypy complains about an ignored error that is none, so each `type: ignore` here is a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

import modulae as mo

if TYPE_CHECKING:
    from anndata import AnnData


def wrong_words(adata: AnnData) -> None:
    """Call with a wrong argument, and by a name that there is not."""
    mo.tl.autoencoder(adata, n_latent="many")  # type: ignore[arg-type]
    mo.tl.pathway_impact(adata, {}, explanation={"method": "lime"})  # type: ignore[arg-type]
    mo.tl.pathway_impact(adata, {}, explanation={"methods": "guided"})  # type: ignore[arg-type]
    mo.tl.sanity(adata, {}, explanation={**mo.presets.KINALIS_2019_IMPACT, "signed": True})
    mo.tl.no_such_tool(adata)  # type: ignore[attr-defined]
    mo.no_such_name  # type: ignore[attr-defined]  # noqa: B018
    assert_type(mo.__version__, str)
    assert_type(mo.datasets.pbmc68k(), "AnnData")
