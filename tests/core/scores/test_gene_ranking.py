"""Which genes stand for a unit, worked out by hand."""

import numpy as np

from modulae.core.scores.gene_ranking import gene_scores, gene_shares, strongest_genes

LOADINGS = np.array(
    [
        [3.0, 0.0, 0.0],  # a marker of the first unit
        [4.0, 4.0, 4.0],  # a housekeeping gene: made most, by all
        [0.1, 0.0, 0.0],  # its own, and hardly made
        [0.0, 0.0, 0.0],
        [2.0, 1.0, 0.0],
    ]
)


def test_a_gene_that_units_share_counts_by_its_share():
    shares = gene_shares(LOADINGS)
    np.testing.assert_allclose(shares[:, 0], [1, 1 / 3, 1, 0, 2 / 3])
    np.testing.assert_allclose(gene_scores(LOADINGS)[:, 0], [3, 4 / 3, 0.1, 0, 4 / 3])
    assert list(strongest_genes(gene_scores(LOADINGS)[:, 0], 9)) == [0, 1, 4, 2]
    assert list(strongest_genes(gene_scores(LOADINGS)[:, 2], 9)) == [1]
    assert list(strongest_genes(gene_scores(LOADINGS)[:, 0], 1)) == [0]


def test_loadings_of_either_sign_are_shared_among_those_of_that_sign():
    signed = np.array([[2.0, -3.0, 2.0], [-1.0, -3.0, 0.0]])
    np.testing.assert_allclose(gene_shares(signed), [[0.5, 1, 0.5], [0.25, 0.75, 0]])
    np.testing.assert_allclose(gene_scores(signed), [[1, -3, 1], [-0.25, -2.25, 0]])
    assert list(strongest_genes(gene_scores(signed)[:, 0], 2)) == [0, 1]
    assert gene_scores(signed.astype(np.float32)).dtype == np.float64
