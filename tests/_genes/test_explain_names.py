"""Names that some program has changed: the cause is named, and the line that is given undoes it."""

import anndata as ad
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modulae as mo
from modulae._genes.explain_names import explain_mismatch, explain_spelling

GENES = ["CD3D", "CD3E", "LYZ", "HLA-A", "HLA-DRB1", "MT-ND1", "NKX2-1", "MS4A1", "RP11-34P13.7", "AL627309.1"]


def cells(names):
    adata = ad.AnnData(np.ones((2, len(names)), dtype=np.float32))
    adata.var_names = names
    return adata


def follow(message, adata):
    """Run the lines of a message, in their order."""
    names = {"adata": adata}
    for line in message.split("`")[1::2]:
        exec(line, names)  # noqa: S102 (the lines that the message says to run)
    return names["adata"]


@settings(deadline=None)
@given(
    genome=st.sampled_from(["GRCh38", "GRCh37", "hg19", "hg38", "mm10", "GRCm39", "GRCh38-2020-A", "rn6"]),
    mark=st.sampled_from("_-"),  # Seurat makes hyphens of underscores
    times=st.integers(1, 6),
    genes=st.lists(st.sampled_from(GENES), min_size=1, unique=True),
    species=st.integers(1, 2),
)
def test_the_genome_before_the_gene(genome, mark, times, genes, species):
    names = [genome + mark * times + gene for gene in genes]
    if species == 2:
        names += [f"dm6{mark * 3}ple", f"dm6{mark * 3}elav"]
    adata = cells(names)
    reason = explain_mismatch({"a": genes}, names)
    assert "without the name of the genome" in reason
    assert ("there are also those of dm6" in reason) == (species == 2)
    assert list(adata.var_names) == names
    assert list(follow(reason, adata).var_names) == genes


def test_spaces_around_names():
    names = [f"{gene} " for gene in GENES]
    reason = explain_mismatch({"a": GENES}, names)
    assert "have spaces before or after them ('CD3D ')" in reason
    assert list(follow(reason, cells(names)).var_names) == GENES
    assert explain_spelling(names, GENES, ours="the model's genes") == ""


def test_the_genome_before_the_genes_that_are_looked_for():
    reason = explain_spelling(["GRCh38_CD3D", "GRCh38_LYZ"], ["CD3D", "LYZ"], ours="the model's genes")
    assert "which the model's genes have before the gene" in reason
    assert list(follow(reason, cells(["CD3D", "LYZ"])).var_names) == ["GRCh38_CD3D", "GRCh38_LYZ"]


@settings(deadline=None)
@given(genes=st.lists(st.sampled_from([gene for gene in GENES if gene != "AL627309.1"]), min_size=1, unique=True))
def test_dots_of_r_for_hyphens(genes):
    names = [*(gene.replace("-", ".") for gene in genes), "AL627309.1"]
    reason = explain_mismatch({"a": genes}, names)
    assert bool(reason) == any("-" in gene for gene in genes)
    assert list(follow(reason, cells(names)).var_names) == [*genes, "AL627309.1"]


@pytest.mark.parametrize(
    "names", [GENES, [*GENES, "mm9", "hg_like", "GRC"], [gene.replace("HLA-A", "HLA-B") for gene in GENES]]
)
def test_names_that_fit_are_not_explained(names):
    assert explain_spelling(GENES, names, ours="the gene sets") == ""


@pytest.fixture(scope="module")
def trained():
    adata = mo.datasets.simulated(n_cells=80, n_genes=30, n_programmes=2, genes_per_programme=8, seed=0)
    adata.var_names = [f"HLA-{at}" if at % 2 else f"GENE{at}" for at in range(30)]
    mo.tl.autoencoder(adata, n_latent=3, n_splits=0, max_epochs=2, device="cpu", progress=False)
    return adata


def test_transfer_to_prefixed_names(trained):
    new = trained.copy()
    new.var_names = "GRCh38_" + new.var_names
    with pytest.raises(KeyError, match=r"none of the model.*s 30 genes.*without the name of the genome") as caught:
        mo.tl.transfer(new, trained, key_added="read")
    mo.tl.transfer(follow(str(caught.value), new), trained, key_added="read")
    np.testing.assert_allclose(new.obsm["X_read"], trained.obsm["X_ae"], rtol=1e-4, atol=1e-5)


def test_transfer_to_names_that_r_has_changed(trained):
    new = trained.copy()
    new.var_names = new.var_names.str.replace("-", ".")
    with pytest.raises(
        ValueError, match=r"50% of the model's genes.*dots where the model's genes have hyphens"
    ) as caught:
        mo.tl.transfer(new, trained, key_added="read", min_reliability=1.0)
    line = next(line for line in str(caught.value).split("`") if line.startswith("adata.var_names"))
    assert list(follow(f"`{line}`", new).var_names) == list(trained.var_names)


def test_a_model_beside_renamed_genes_says_so(trained):
    new = trained.copy()
    new.var_names = new.var_names.str.replace("-", ".")
    with pytest.raises(KeyError, match=r"15 of the model.*s 30 genes are not in adata.*dots where") as caught:
        mo.tl.saliency(new)
    mo.tl.saliency(follow(str(caught.value), new))


@pytest.mark.parametrize("function", ["mask", "impact", "activity", "enrichment"])
def test_a_set_without_its_hyphens_is_pointed_out_in_every_function(trained, function):
    """Also where enough of it is found to be used."""
    new = trained.copy()
    sets = {"a": [*new.var_names[:10], "HLA.13"], "b": [f"HLA-{at}" for at in (17, 19, 21)] + ["GENE2"]}
    sets["a"] = [gene.replace("HLA.13", "MT-ND1") for gene in sets["a"]]
    new.var_names = [*new.var_names]
    extended = ad.concat([new, cells_like(new, ["MT.ND1"])], axis=1, merge="first", uns_merge="first")
    call = {
        "mask": lambda a: mo.pp.gene_set_mask(a, sets),
        "impact": lambda a: mo.tl.pathway_impact(a, sets),
        "activity": lambda a: mo.tl.pathway_activity(a, sets, source="counts", n_random=9),
        "enrichment": lambda a: mo.tl.enrich_units(a, sets, n_permutations=20, progress=False),
    }[function]
    with pytest.warns(UserWarning, match=r"dots where the gene sets have hyphens \(MT\.ND1, MT-ND1\)") as caught:
        call(extended)
    assert len([said for said in caught if "hyphens" in str(said.message)]) == 1


def cells_like(adata, names):
    more = ad.AnnData(np.ones((adata.n_obs, len(names)), dtype=np.float32), obs=adata.obs[[]].copy())
    more.var_names = names
    return more
