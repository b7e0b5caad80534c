"""A small trained model, a page read back, and a browser to open it in."""

import base64
import gzip
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import modulae as mo

NASTY = "<script>alert(1)</script>"
NASTY_GENE = "\"><img src=x onerror='alert(2)'>"
NASTY_SET = "</script><b>set</b>"
WATCH = """
window.said = [];
for (const name of ["alert", "confirm", "prompt"]) window[name] = (text) => window.said.push(text);
addEventListener("securitypolicyviolation", (event) => window.said.push(event.violatedDirective));
"""
SETTINGS = {"n_latent": 6, "n_splits": 0, "max_epochs": 4, "device": "cpu", "progress": False}


class Page(HTMLParser):
    """What is on a page: its text, its elements, its facts, its arrays."""

    def __init__(self, path):
        super().__init__()
        self.html = Path(path).read_text(encoding="utf-8")
        self.elements, self.texts, self.inside = [], [], []
        self.feed(self.html)
        self.facts = json.loads(self.of_id("facts"))
        self.arrays = self.unpacked()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_data(self, data):
        if not self.inside or self.inside[-1] not in {"script", "style"}:
            self.texts.append(data)
        else:
            self.elements[-1][1]["text"] = data

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.texts))

    def of_id(self, name):
        return next(attrs["text"] for _, attrs in self.elements if attrs.get("id") == name)

    def unpacked(self):
        packed = gzip.decompress(base64.b64decode(self.of_id("arrays")))
        found = {}
        for place in self.facts["places"]:
            block = packed[place["start"] : place["start"] + place["bytes"]]
            assert place["start"] % 8 == 0
            kind = place["kind"]
            found[place["name"]] = json.loads(block) if kind == "json" else np.frombuffer(block, f"<{kind}")
        return found

    def units(self):
        return [unit["unit"] for unit in self.facts["units"]]


@pytest.fixture(scope="session")
def cells():
    """Trained on cells whose groups and genes have names that would be HTML, and with a layout."""
    adata = mo.datasets.simulated(n_cells=140, n_genes=300, n_programmes=3, genes_per_programme=20, seed=1)
    adata.var_names = [NASTY_GENE, *adata.var_names[1:]]
    adata.obs["kind"] = adata.obs["group"].astype(str).replace("group_0", NASTY).astype("category")
    adata.obs["half"] = np.where(np.arange(140) % 2, "odd", "even")
    mo.tl.autoencoder(adata, **SETTINGS)
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(140, 2)).astype(np.float32)
    return adata


@pytest.fixture(scope="session")
def gene_sets(cells):
    loadings = cells.varm["truth_loadings"]
    sets = {f"HALLMARK_PROGRAMME_{i}": list(cells.var_names[loadings[:, i] > 0]) for i in range(3)}
    return {**sets, NASTY_SET: [NASTY_GENE, *cells.var_names[40:60]]}


@pytest.fixture(scope="session")
def written(cells, gene_sets, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "modules.html"
    mo.report(cells, path, gene_sets=gene_sets, groupby=["kind", "half"], device="cpu", progress=False)
    return path


@pytest.fixture(scope="session")
def page(written):
    return Page(written)


@pytest.fixture(scope="session")
def results(cells, gene_sets):
    """The same cells with everything run by hand."""
    adata = cells.copy()
    mo.tl.unit_summary(adata, gene_sets, groupby="kind", device="cpu", progress=False)
    mo.tl.saliency(adata, device="cpu")
    for column in ("kind", "half"):
        mo.tl.pathway_impact(adata, gene_sets, groupby=column, device="cpu", n_permutations=50)
    return adata


@pytest.fixture
def halved(cells):
    """A model of which two units may be chance, one of them the second in importance."""
    adata = cells.copy()
    mo.tl.unit_summary(adata, device="cpu", progress=False)
    second = int(mo.get.unit_summary(adata).index[1])
    reproducibility = np.array([0.9, 0.8, 0.95, 0.85, 0.75, 0.99])
    reproducibility[[second, (second + 1) % 6]] = [0.5, 0.3]
    found = np.ones((6, 5, 2), dtype=bool)
    found[second, :2, 1] = False
    adata.uns["ae"]["replication"] = {
        "found": found,
        "similarity": np.full((6, 5), 0.9, dtype=np.float32),
        "reproducibility": reproducibility.astype(np.float32),
        "level": 0.7,
    }
    del adata.uns["ae"]["whole"]  # the stamp of a model without it
    return adata, str(second), str((second + 1) % 6)


@pytest.fixture(scope="session")
def chromium():
    """Chromium without a window; skipped where there is none, unless MODULAE_BROWSER says that there must be one."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        found = None
    if found is None:
        why = "needs Chromium (`apt-get install chromium`) and playwright (`pip install playwright`)"
        (pytest.fail if os.environ.get("MODULAE_BROWSER") == "required" else pytest.skip)(why)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Open a file; at the end nothing may have been complained of, asked for or run that is not the page's own."""
    opened = []

    def go(path, width=1400, height=900):
        page = chromium.new_page(viewport={"width": width, "height": height})
        page.problems, page.requests = [], []
        page.on("console", lambda m: page.problems.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.add_init_script(WATCH)
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=yes]", timeout=30_000)
        opened.append((page, path))
        return page

    yield go
    for page, path in opened:
        assert page.problems == []
        assert page.requests == [path.as_uri()]
        assert page.evaluate("window.said") == []
        page.close()
