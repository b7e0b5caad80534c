"""pl.search, asserted on its artists."""

import numpy as np
import pandas as pd
import pytest

import modulae as mo


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "n_latent": [32, 8, 16, 8],
            "orthogonality": [0.0, 0.0, 0.0, 0.1],
            "loss": [0.1, 0.5, 0.2, 0.7],
            "loss_sd": [0.01, 0.02, 0.03, 0.04],
            "stability": [0.3, 0.9, 0.7, 0.7],
        }
    )


def test_settings_stand_in_their_order_with_means_over_the_others(table):
    ax = mo.pl.search(table)
    beside = ax.figure.axes[-1]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["8", "16", "32"]
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(orig=False), [0.8, 0.7, 0.3])
    np.testing.assert_allclose(beside.containers[0].lines[0].get_ydata(orig=False), [0.6, 0.2, 0.1])
    assert ax.get_xlabel() == "n_latent"
    assert "stability" in ax.get_ylabel()
    assert "held-out" in beside.get_ylabel()


def test_the_most_stable_of_the_settings_with_a_low_loss_is_recommended(table):
    """Of 8, 16 and 32 the losses are 0.6, 0.2 and 0.1: within a tenth of the range is the last alone."""
    ax = mo.pl.search(table)
    assert ax.get_title() == "recommended: n_latent = 32"
    assert [line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() == "--"] == [2]
    assert mo.pl.search(table.assign(loss=[0.1, 0.5, 0.13, 0.7])).get_title() == "recommended: n_latent = 16"


def test_the_axis_of_stability_is_where_the_values_are(table):
    low, high = mo.pl.search(table).get_ylim()
    np.testing.assert_allclose([low, high], [0.3 - 0.075, 0.8 + 0.075])
    low, high = mo.pl.search(table.assign(stability=[0.97, 0.98, 0.99, 0.98])).get_ylim()
    assert (low, high) == (pytest.approx(0.975 - 0.1, abs=0.02), 1.02)


def test_any_setting_can_be_the_one_that_is_drawn(table):
    ax = mo.pl.search(table, "orthogonality")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "0.1"]


def test_what_can_not_be_drawn_is_refused(table):
    with pytest.raises(KeyError, match="no column 'momentum'; it has"):
        mo.pl.search(table, "momentum")
    with pytest.raises(KeyError, match=r"Give what `mo.tl.search` returned"):
        mo.pl.search(table.drop(columns="loss"))
    with pytest.raises(ValueError, match="it takes two seeds"):
        mo.pl.search(table.assign(stability=np.nan))
