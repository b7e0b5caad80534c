"""What the page of `modulae.report` costs: seconds to write, bytes, and how fast it answers in a browser."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import modulae as mo
from benchmarks import table

if TYPE_CHECKING:
    from anndata import AnnData

PICTURES = Path(__file__).parents[2] / "docs" / "images"
WIDTHS = (1400, 900, 420)
CLICK = """(place) => new Promise((resolve) => {
  const start = performance.now();
  document.querySelector(`.open[data-place="${place}"]`).click();
  const built = performance.now();
  requestAnimationFrame(() => setTimeout(() => resolve([built - start, performance.now() - start])));
})"""
NOTHING = dict.fromkeys(("first text, ms", "all drawn, ms", "a click, ms", "of it work, ms"), "–")


def run(*, short: bool) -> str:
    """Write the report of a few thousand cells and of 20 000, and click in it."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (adata, gene_sets, groupby) in _cells(short=short).items():
            path = Path(folder) / "modules.html"
            trained = adata.copy()
            cold = _written(adata, path, gene_sets=gene_sets, groupby=groupby)
            started = _written(trained, path, gene_sets=gene_sets, groupby=groupby)
            mo.tl.unit_summary(adata, gene_sets, groupby=groupby, progress=False)
            mo.tl.saliency(adata)
            mo.tl.embeddings(adata)
            warm = _written(adata, path, groupby=groupby)
            rows.append(
                {
                    "cells": name,
                    "drawn": min(adata.n_obs, 20_000),
                    "model genes": int(adata.var["ae_gene"].sum()),
                    "gene sets": len(gene_sets),
                    "written, s": warm,
                    "with all that is missing, s": started,
                    "the first time, s": cold,
                    "MB": f"{path.stat().st_size / 1e6:.2f}",
                    **_in_a_browser(path),
                }
            )
        if not short and "MODULAE_DATA" in os.environ:
            _pictures(Path(folder))
    words = (
        "*Written*: everything has been run before (`tl.unit_summary` with gene sets, `tl.saliency`, "
        "`tl.embeddings`). *With all that is missing*: straight after training; most of it is the UMAP, the effect of "
        "each unit and the gene sets. *The first time*: the same where nothing has yet imported umap-learn, "
        "which compiles itself for some seconds in every new process (whoever has called "
        "`sc.pp.neighbors` or `sc.tl.umap` has waited for that). *A click*: from the click on a card to the next "
        "frame, with the large maps in it; the median of 12 units, in headless Chromium without a graphics card; "
        "beside it what the page's thread worked. Seconds by the clock, in brackets those of the processor; two cores."
    )
    return table.write("report", "The report: what it costs", words, rows, short=short)


def _cells(*, short: bool) -> dict[str, tuple[AnnData, dict[str, list[str]], str]]:
    """Trained models: real cells where they are, and as many as a page draws."""
    import anndata as ad

    found = {}
    n_cells, n_genes, epochs = (400, 300, 1) if short else (20_000, 3000, 3)
    many = mo.datasets.simulated(n_cells=n_cells, n_genes=n_genes, n_programmes=10, seed=0)
    loadings = many.varm["truth_loadings"]
    sets = {f"programme {i}": list(many.var_names[loadings[:, i] > 0]) for i in range(loadings.shape[1])}
    mo.tl.autoencoder(many, architecture="orthogonal", max_epochs=epochs, progress=False)
    if not short and "MODULAE_DATA" in os.environ:
        folder = Path(os.environ["MODULAE_DATA"])
        real = ad.read_h5ad(folder / "pbmc3k.h5ad")
        both = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
        both |= mo.read_gene_sets(folder / "xcell_novershtern_DMAP.gmt")
        mo.pp.gene_set_mask(real, both)
        mo.tl.autoencoder(real, architecture="orthogonal", mask_var="in_gene_sets", max_epochs=10, progress=False)
        found["pbmc3k, 2638"] = (real, both, "seurat_celltype")
    return {**found, f"simulated, {n_cells}": (many, sets, "group")}


def _written(adata: AnnData, path: Path, **settings: Any) -> str:  # noqa: ANN401
    """Seconds by the clock, and of the processor."""
    start, work = time.perf_counter(), time.process_time()
    mo.report(adata, path, progress=False, **settings)
    return f"{time.perf_counter() - start:.1f} ({time.process_time() - work:.1f})"


def _chromium(playwright: Any) -> Any:  # noqa: ANN401
    path = shutil.which("chromium") or shutil.which("google-chrome")
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def _in_a_browser(path: Path) -> dict[str, object]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return NOTHING
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        return NOTHING
    with sync_playwright() as playwright:
        page = _chromium(playwright).new_page(viewport={"width": 1400, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=yes]", timeout=120_000)
        ready = page.evaluate("performance.now()")
        painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        n_units = page.locator(".card").count()
        page.wait_for_timeout(1000)
        page.evaluate(CLICK, 0)  # the first opens the sheet
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        clicks, work = [], []
        for place in range(1, min(13, n_units)):
            before = _task_seconds(session)
            clicks.append(page.evaluate(CLICK, place)[1])
            page.wait_for_timeout(400)
            work.append(1000 * (_task_seconds(session) - before))
    return {
        "first text, ms": f"{painted:.0f}",
        "all drawn, ms": f"{ready:.0f}",
        "a click, ms": f"{statistics.median(clicks):.0f}",
        "of it work, ms": f"{statistics.median(work):.0f}",
    }


def _task_seconds(session: Any) -> float:  # noqa: ANN401
    """What the page's thread has worked so far."""
    return next(m["value"] for m in session.send("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration")


def _pictures(folder: Path) -> None:
    """The pictures of docs/guide/report.md: Kang's cells, at three widths, and one unit."""
    import anndata as ad
    from playwright.sync_api import sync_playwright

    data = Path(os.environ["MODULAE_DATA"])
    adata, sets = ad.read_h5ad(data / "kang_ifnb_sub2000.h5ad"), mo.read_gene_sets(data / "hallmark_human_v2025.gmt")
    mo.pp.gene_set_mask(adata, sets)
    mo.tl.autoencoder(adata, mask_var="in_gene_sets", progress=False)
    mo.tl.pathway_impact(adata, sets, groupby="stim")
    settings = {"gene_sets": sets, "groupby": ["seurat_annotations", "stim"], "progress": False}
    title = "2000 blood cells, half of them given interferon-β"
    path = mo.report(adata, folder / "kang.html", title=title, **settings)
    with sync_playwright() as playwright:
        browser = _chromium(playwright)
        for width in WIDTHS:
            page = browser.new_page(viewport={"width": width, "height": 1250 if width > 500 else 1500})
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
            page.screenshot(path=PICTURES / f"report_{width}.png")
            if width == max(WIDTHS):
                page.locator(".open").nth(1).click()
                page.wait_for_timeout(800)
                page.screenshot(path=PICTURES / "report_unit.png")
                page.keyboard.press("Escape")
                page.locator("#column").select_option(label="stim")
                page.locator("#group-a").select_option(index=1)
                page.locator("#group-b").select_option(index=1)
                page.locator("#compare").screenshot(path=PICTURES / "report_compare.png")
