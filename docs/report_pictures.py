"""The pictures of the report in `docs/images`: `python docs/report_pictures.py` makes them anew, in a minute.

Needs Chromium and playwright, as the tests of the report do, and nothing else that does not ship.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import modulae as mo

IMAGES = Path(__file__).parent / "images"
SIZES = {"report_1400": (1400, 1250), "report_900": (900, 1250), "report_420": (420, 1500)}


def written(folder: Path) -> tuple[Path, str]:
    """The page of cells that come with scanpy, and the number of a unit to open: the one that marks a group best."""
    adata = mo.datasets.pbmc68k()
    mo.tl.autoencoder(adata, progress=False)
    mo.tl.unit_summary(adata, mo.datasets.immune_signatures(), groupby="bulk_labels", progress=False)
    mo.tl.embeddings(adata)
    mo.tl.rank_units(adata, "phase", groups=["G2M"], reference="G1")
    page = mo.report(
        adata,
        folder / "modules.html",
        gene_sets=mo.datasets.immune_signatures(),
        groupby=["bulk_labels", "phase"],
        title="700 human blood cells",
        progress=False,
    )
    return page, str(mo.get.unit_summary(adata)["group_auc"].idxmax())


def opened(browser: Browser, page: Path, size: tuple[int, int], part: str = "") -> Page:
    """The page in a window, when all of it is drawn."""
    shown = browser.new_page(viewport={"width": size[0], "height": size[1]})
    shown.goto(page.as_uri() + part)
    shown.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    shown.wait_for_timeout(500)
    return shown


def main() -> None:
    """Three windows, one unit, and one comparison."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page, unit = written(Path(folder))
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for name, size in SIZES.items():
            opened(browser, page, size).screenshot(path=IMAGES / f"{name}.png")
        opened(browser, page, SIZES["report_1400"], f"#unit-{unit}").screenshot(path=IMAGES / "report_unit.png")
        opened(browser, page, SIZES["report_1400"]).locator("#compare").screenshot(path=IMAGES / "report_compare.png")
        browser.close()
    for name in (*SIZES, "report_unit", "report_compare"):  # without what says that nothing is transparent
        Image.open(IMAGES / f"{name}.png").convert("RGB").save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
