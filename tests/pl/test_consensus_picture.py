"""pl.consensus, asserted on its artists."""

import numpy as np
import pytest

import modulae as mo


@pytest.fixture
def agreed(adata):
    adata.uns["ae_consensus"] = {
        **adata.uns["ae"],
        "consensus": {
            "share": np.array([1.0, 0.6, 0.8], np.float32),
            "returns": np.array([[0.95, 0.99], [0.2, 0.6], [0.91, 0.85]], np.float32),
            "effect": np.array([0.5, 0.2, 0.1]),
        },
    }
    return adata


def test_units_stand_in_the_order_of_their_effect(agreed):
    ax = mo.pl.consensus(agreed)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "2"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top
    dots = ax.collections[1].get_offsets()
    np.testing.assert_allclose(dots[:, 0], [0.97, 0.4, 0.88], atol=1e-6)
    lines = np.array([line[:, 0] for line in ax.collections[0].get_segments()])
    np.testing.assert_allclose(lines, [[0.95, 0.99], [0.2, 0.6], [0.85, 0.91]], atol=1e-6)
    assert ax.get_title() == "1 of 3 units are back in every run"
    bars = ax.child_axes[0].patches
    np.testing.assert_allclose([bar.get_width() for bar in bars], [0.5, 0.2, 0.1])


def test_threshold_is_marked_and_counted(agreed):
    ax = mo.pl.consensus(agreed, threshold=0.8)
    assert ax.get_title().startswith("2 of 3")
    assert any(np.allclose(line.get_xdata(), 0.8) for line in ax.get_lines())


def test_what_is_no_consensus_is_refused(adata):
    with pytest.raises(KeyError, match="is no consensus"):
        mo.pl.consensus(adata, key="ae")
