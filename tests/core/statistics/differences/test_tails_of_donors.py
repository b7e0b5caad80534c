"""How small a p few donors can have: where nothing differs, and where everything does."""

import numpy as np
import pytest

from modulae.core.statistics.differences.designs import design_of
from modulae.core.statistics.differences.moments import Moments
from modulae.core.statistics.differences.over_donors import fit_donors, moderated_tests

CELLS = 1e4
"""Of a donor: so many that the mean over them is known."""


def sides_of(rng, n_donors, *, paired, n_units, n_types, shift):
    """Both sides of comparisons in several cell types: a unit varies over donors as much as it likes to."""
    spread = np.sqrt(10 / rng.chisquare(10, n_units))
    everywhere = rng.normal(size=(2 * n_donors, n_units))  # what a donor does in all cell types
    first = np.arange(2 * n_donors) < n_donors
    donor = np.arange(2 * n_donors) % n_donors if paired else np.arange(2 * n_donors)
    for _ in range(n_types):
        mean = spread * (0.8 * everywhere + 0.6 * rng.normal(size=everywhere.shape)) + shift * first[:, None]
        whole = Moments(np.full(2 * n_donors, CELLS), CELLS * mean, CELLS * (mean**2 + 1))
        yield [whole.of(side).gathered(donor[side], donor.max() + 1) for side in (first, ~first)]


def p_values(rng, n_donors, *, paired, n_units, n_types, shift=0.0):
    fits = []
    for sides in sides_of(rng, n_donors, paired=paired, n_units=n_units, n_types=n_types, shift=shift):
        nothing = np.zeros((len(sides[0].n), 0))
        design = design_of(*(Moments(side.n, nothing, nothing) for side in sides))
        assert design.paired == paired
        fits.append(fit_donors(design, *sides, n_permutations=1, rng=rng))
    return moderated_tests(fits)["p"]


@pytest.mark.parametrize(("n_donors", "paired"), [(4, False), (3, True), (4, True)])
@pytest.mark.parametrize(("n_units", "n_types"), [(8, 1), (32, 1), (8, 6)])
def test_where_nothing_differs_small_p_are_as_rare_as_they_say(n_donors, paired, n_units, n_types):
    """At least 16 000 tests: 16 are expected below 0.001, and 800 below 0.05."""
    rng = np.random.default_rng(0)
    how = {"paired": paired, "n_units": n_units, "n_types": n_types}
    p = np.concatenate([p_values(rng, n_donors, **how).ravel() for _ in range(16_000 // (n_units * min(n_types, 2)))])
    assert 0.03 < (p < 0.05).mean() < 0.07
    assert (p < 0.001).mean() < 0.002


@pytest.mark.parametrize(("n_donors", "paired", "least"), [(3, False, 1e-20), (4, True, 1e-18), (12, False, 1e-60)])
def test_a_few_donors_are_never_surer_than_a_few_donors_can_be(n_donors, paired, least):
    """A difference fifty times as large as what donors differ by, in 30 units and 20 cell types."""
    p = p_values(np.random.default_rng(1), n_donors, paired=paired, n_units=30, n_types=20, shift=50.0)
    assert p.min() > least
    assert p.max() < 1e-6
