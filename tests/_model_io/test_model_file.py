"""Models as files: the same model comes back, and a broken file is refused."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save, save_file

import modulae as mo
from modulae._adata.stored.models import read_model
from modulae._model_io import model_file

SETTINGS = {"n_latent": 4, "n_splits": 0, "max_epochs": 3, "device": "cpu", "progress": False}


@pytest.fixture(scope="module", params=["orthogonal", "parts"])
def trained(request):
    adata = mo.datasets.simulated(n_cells=90, n_genes=40, n_programmes=3, genes_per_programme=8, seed=1)
    adata.var["chosen"] = np.arange(adata.n_vars) % 4 != 0
    adata.var["gene_ids"] = [f"ENSG{at:011d}" for at in range(adata.n_vars)]
    mo.tl.autoencoder(adata, mask_var="chosen", architecture=request.param, **SETTINGS)
    return adata


@pytest.fixture
def path(trained, tmp_path):
    path = tmp_path / "blood.safetensors"
    mo.save_model(trained, path, species="mouse")
    return path


def test_the_same_model_comes_back(trained, path):
    model, original = mo.load_model(path), read_model(trained, "ae")
    assert model.fitted.config == original.config
    assert model.fitted.genes.tolist() == original.genes.tolist()
    assert model.species == "mouse"
    assert model.gene_ids.tolist() == trained.var["gene_ids"][original.known_genes].tolist()
    for name in original.network.weights:
        np.testing.assert_array_equal(getattr(model.fitted.network, name), getattr(original.network, name))
    for name in type(original.training).__slots__:
        np.testing.assert_array_equal(getattr(model.fitted.training, name), getattr(original.training, name))
    assert model.fitted.history.best_epoch == original.history.best_epoch
    assert model_file.model_fingerprint(model.fitted) == model_file.model_fingerprint(original)


def test_reading_the_training_cells_gives_the_training_representation(trained, path):
    fresh = trained.copy()
    mo.tl.transfer(fresh, path, key_added="again")
    np.testing.assert_allclose(fresh.obsm["X_again"], trained.obsm["X_ae"], atol=1e-5)


def test_it_says_what_it_is(path):
    words = repr(mo.load_model(path))
    for said in ("4 units", "30 genes", "90 cells of mouse", mo.__version__):
        assert said in words


def test_another_column_of_identifiers_or_none(trained, tmp_path):
    adata = trained.copy()
    adata.var["entrez"] = np.arange(adata.n_vars)
    mo.save_model(adata, tmp_path / "m", gene_ids="entrez")
    assert mo.load_model(tmp_path / "m").gene_ids[0] == "1"
    del adata.var["gene_ids"]
    mo.save_model(adata, tmp_path / "m")
    assert mo.load_model(tmp_path / "m").gene_ids is None
    with pytest.raises(KeyError, match=r"not a column of adata\.var"):
        mo.save_model(adata, tmp_path / "m", gene_ids="nonsense")


def test_no_cell_is_in_the_file(trained, path):
    shapes = [array.shape for name, array in load_file(path).items() if name != "model/test_cells"]
    assert not any(trained.n_obs in shape for shape in shapes)


def test_inference_from_a_file_needs_no_torch(trained, path, tmp_path):
    trained.write_h5ad(tmp_path / "cells.h5ad")
    script = (
        "import sys, anndata, modulae as mo\n"
        f"adata = anndata.read_h5ad({str(tmp_path / 'cells.h5ad')!r})\n"
        f"mo.tl.transfer(adata, {str(path)!r}, device='cpu')\n"
        "mo.tl.saliency(adata, device='cpu'); mo.tl.denoise(adata, device='cpu'); mo.tl.novelty(adata)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=120)


def test_numpy_and_torch_agree(path, trained):
    network = mo.load_model(path).fitted.network
    inputs = np.random.default_rng(0).gamma(1, size=(20, network.n_genes)).astype(np.float32)
    import torch

    moved = network.to_torch("cpu")
    units = moved.encode(torch.from_numpy(inputs))
    np.testing.assert_allclose(network.encode(inputs), units.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(network.decode(units.numpy()), moved.decode(units).numpy(), rtol=1e-5, atol=1e-6)
    ones = np.ones((1, 20), dtype=np.float32)
    ours = network.gradient_of_slopes(network.accumulate_slopes(inputs, ones), "gradient")
    theirs = moved.gradient_of_slopes(
        moved.accumulate_slopes(torch.from_numpy(inputs), torch.from_numpy(ones)), "gradient"
    )
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="save_model"):
        mo.load_model(tmp_path / "nothing")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_truncated_file(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match="Copy it again"):
        mo.load_model(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_changed_byte_is_noticed_wherever_it_is(path, tmp_path, where, flip):
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= flip
    changed = tmp_path / "changed"
    changed.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"Copy it again|save_model|Update"):
        mo.load_model(changed)


def test_a_file_of_another_kind(tmp_path):
    save_file({"weight": np.ones(3)}, tmp_path / "other")
    with pytest.raises(ValueError, match="no model of modulae"):
        mo.load_model(tmp_path / "other")
    (tmp_path / "text").write_text("a table")
    with pytest.raises(ValueError, match="no safetensors file"):
        mo.load_model(tmp_path / "text")


def test_a_newer_format_asks_for_an_update(tmp_path):
    text = json.dumps({"format_version": model_file.FORMAT_VERSION + 1})
    about = {"format": model_file.MODEL_FORMAT, "modulae": text, "sha256": "of another kind"}
    (tmp_path / "newer").write_bytes(save({"a": np.ones(1)}, metadata=about))
    with pytest.raises(ValueError, match="pip install --upgrade modulae"):
        mo.load_model(tmp_path / "newer")


def test_a_failed_write_leaves_the_old_file(trained, path, monkeypatch):
    before = path.read_bytes()

    def full(stream):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        mo.save_model(trained, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_no_model_to_save(tmp_path):
    with pytest.raises(KeyError, match="autoencoder"):
        mo.save_model(
            mo.datasets.simulated(n_cells=20, n_genes=20, n_programmes=2, genes_per_programme=4), tmp_path / "m"
        )
    assert not (tmp_path / "m").exists()
