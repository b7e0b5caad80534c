"""Reading with some genes absent, against what the linear model says exactly."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.inference.encode import encode
from modulae.core.inference.missing_genes import restrict
from modulae.core.inference.novelty import novelty
from modulae.core.inference.training_summary import summarise
from modulae.core.model.config import Config, config_for
from modulae.core.model.fitted import Fitted
from modulae.core.model.training_summary import TrainingSummary
from modulae.core.training.train import split_cells, train

N_CELLS, N_GENES = 300, 40
SETTINGS = {"n_latent": 4, "max_epochs": 6, "seed": 3}
CONFIGS = {
    "orthogonal": Config(n_hidden=8, **SETTINGS),
    "parts": config_for("parts", schedule="cosine", size_factors="total", **SETTINGS),
}
NO_OTHERS = (np.array([], dtype=str), np.array([]))


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    programmes = rng.gamma(0.5, size=(4, N_GENES))
    rates = rng.gamma(1.0, size=(N_CELLS, 4)) @ programmes
    counts = rng.poisson(rates).astype(np.float32)
    counts[5] = 0
    totals = counts.sum(axis=1)
    return Cells(sparse.csr_matrix(counts), (totals / np.median(totals)).astype(np.float32))


@pytest.fixture(scope="module", params=["orthogonal", "parts"])
def fitted(request, cells):
    config = CONFIGS[request.param]
    test = split_cells(N_CELLS, config)
    run = train(cells, test, config)
    summary = summarise(run.network, cells, encode(run.network, cells), test, NO_OTHERS)
    unit = float(np.median(cells.counts.toarray().sum(axis=1)))
    return Fitted(run.network, np.arange(N_GENES).astype(str), config, run.history, unit, test, summary)


@pytest.fixture(scope="module")
def kept():
    return np.random.default_rng(1).random(N_GENES) < 0.6


def filled(fitted, inputs, kept, missing):
    """The inputs with what is assumed of absent genes densified; the factor model through its dense covariance."""
    summary, full = fitted.training, np.zeros((len(inputs), N_GENES))
    full[:, kept] = inputs[:, kept]
    if missing == "mean":
        full[:, ~kept] = summary.input_mean[~kept]
    if missing == "model":
        readout = summary.readout.astype(float)
        covariance = readout @ summary.unit_covariance @ readout.T + np.diag(summary.input_residual.astype(float))
        gain = np.linalg.lstsq(covariance[np.ix_(kept, kept)], covariance[np.ix_(kept, ~kept)], rcond=None)[0]
        full[:, ~kept] = summary.input_mean[~kept] + (inputs[:, kept] - summary.input_mean[kept]) @ gain
    return full.astype(np.float32)


@pytest.mark.parametrize("missing", ["model", "mean", "zero"])
def test_the_first_layer_gets_what_the_absent_genes_are_assumed_to_be(fitted, cells, kept, missing):
    inputs = cells.inputs()
    network = restrict(fitted, kept, missing=missing).fitted.network
    expected = fitted.network.encode(filled(fitted, inputs, kept, missing))
    np.testing.assert_allclose(network.encode(inputs[:, kept]), expected, atol=2e-4)


def test_all_genes_at_hand_change_nothing(fitted, cells):
    every = np.ones(N_GENES, dtype=bool)
    restricted = restrict(fitted, every)
    np.testing.assert_allclose(
        restricted.fitted.network.encode(cells.inputs()), fitted.network.encode(cells.inputs()), atol=1e-6
    )
    np.testing.assert_allclose(restricted.coverage, 1)
    np.testing.assert_allclose(restricted.reliability, 1, atol=1e-6)


def test_a_restriction_can_be_restricted_further(fitted, cells, kept):
    fewer = kept & (np.arange(N_GENES) % 3 > 0)
    at_once = restrict(fitted, fewer).fitted.network
    in_turns = restrict(restrict(fitted, kept).fitted, fewer[kept]).fitted.network
    inputs = cells.inputs()[:, fewer]
    np.testing.assert_allclose(in_turns.encode(inputs), at_once.encode(inputs), atol=2e-3)


def test_decoded_genes_are_those_at_hand(fitted, cells, kept):
    network = restrict(fitted, kept).fitted.network
    units = fitted.network.encode(cells.inputs())
    np.testing.assert_allclose(network.decode(units), fitted.network.decode(units)[:, kept], rtol=1e-5)


def test_coverage_is_the_share_of_the_saliency(fitted, cells, kept):
    slopes = fitted.network.accumulate_slopes(cells.inputs(), np.ones((1, N_CELLS), dtype=np.float32) / N_CELLS)
    saliency = np.abs(fitted.network.gradient_of_slopes(slopes, "gradient")[0])
    expected = saliency[:, kept].sum(axis=1) / saliency.sum(axis=1)
    np.testing.assert_allclose(restrict(fitted, kept).coverage, expected, rtol=1e-4)


def test_reliability_predicts_the_correlation(fitted, cells):
    whole, inputs = fitted.network.encode(cells.inputs()), cells.inputs()
    for share in (0.2, 0.5, 0.9):
        kept = np.random.default_rng(2).random(N_GENES) < share
        restricted = restrict(fitted, kept)
        found = restricted.fitted.network.encode(inputs[:, kept])
        live = whole.std(axis=0) > 1e-3
        actual = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(whole.T, found.T, strict=True)])
        assert np.abs(actual - restricted.reliability)[live].mean() < 0.1


def test_reliability_falls_with_the_genes(fitted):
    order = np.random.default_rng(4).permutation(N_GENES)
    levels = [restrict(fitted, np.isin(np.arange(N_GENES), order[:n])).reliability for n in (40, 25, 10, 2)]
    for more, fewer in itertools.pairwise(levels):
        assert (fewer <= more + 1e-9).all()


def test_size_factors_keep_their_unit(fitted, cells, kept):
    restricted = restrict(fitted, kept).fitted
    counted = cells.counts.toarray()[:, kept].sum(axis=1) / restricted.size_factor_unit
    assert counted.sum() == pytest.approx(cells.size_factors.sum(), rel=1e-4)
    assert restricted.config.size_factors == "known_genes"


def test_other_genes_count_towards_size_factors_where_they_are_at_hand(fitted, kept):
    others = replace(
        fitted.training, other_genes=np.array(["a", "b", "c"]), other_rates=np.array([1, 2, 4], dtype=np.float32)
    )
    restricted = restrict(replace(fitted, training=others), kept, np.array([True, False, True])).fitted
    assert restricted.training.other_genes.tolist() == ["a", "c"]
    assert restricted.size_factor_unit == pytest.approx(fitted.training.rates[kept].sum() + 5, rel=1e-5)
    assert restricted.known_genes.tolist() == [*fitted.genes[kept], "a", "c"]


def test_without_size_factors_there_is_nothing_to_set(fitted, kept):
    raw = replace(fitted, config=Config(size_factors=None))
    assert restrict(raw, kept).fitted.config.size_factors is None


def test_an_unknown_way_is_refused(fitted, kept):
    with pytest.raises(ValueError, match="choose one of"):
        restrict(fitted, kept, missing="median")


def test_the_summary_survives_plain_values(fitted):
    again = TrainingSummary.from_dict(fitted.training.as_dict())
    for name in TrainingSummary.__slots__:
        np.testing.assert_array_equal(getattr(again, name), getattr(fitted.training, name))


def test_the_readout_is_least_squares(fitted, cells):
    units, inputs = fitted.network.encode(cells.inputs()), cells.inputs()
    centred = units - units.mean(axis=0)
    expected = np.linalg.lstsq(centred.astype(float), inputs - inputs.mean(axis=0), rcond=1e-3)[0].T
    fit = fitted.training.readout @ centred.T
    np.testing.assert_allclose(fit, expected @ centred.T, atol=0.05)
    np.testing.assert_allclose(
        fitted.training.input_residual, ((inputs - inputs.mean(axis=0)).T - fit).var(axis=1), atol=0.02
    )


def test_held_out_cells_have_novelty_one_on_average(fitted, cells):
    held_out = cells.take(np.flatnonzero(fitted.test_cells))
    assert novelty(fitted.network, held_out, fitted.training.dispersion).mean() == pytest.approx(1, abs=0.1)


def test_cells_with_other_genes_are_novel(fitted, cells):
    shuffled = Cells(cells.counts[:, np.random.default_rng(0).permutation(N_GENES)].tocsr(), cells.size_factors)
    strange = novelty(fitted.network, shuffled, fitted.training.dispersion)
    usual = novelty(fitted.network, cells, fitted.training.dispersion)
    assert np.median(strange) > 1.5 * np.median(usual)
    assert strange[5] == usual[5] == 1  # the cell without counts


def test_a_dead_unit_is_covered_by_any_genes(fitted, kept):
    slopes = fitted.training.slopes.copy()
    slopes[0] = 0
    dead = replace(fitted, training=replace(fitted.training, slopes=slopes))
    restricted = restrict(dead, kept)
    assert (restricted.coverage[0], restricted.reliability[0]) == (1, 1)
