"""What is drawn of many cells, and how exactly."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modulae.core.data.downsample import ABOVE, BELOW, STEPS, downsample_by_density, map_extent, thickest, to_bytes


def test_rare_cells_stay_where_dense_ones_are_left_out():
    rng = np.random.default_rng(0)
    dense, rare = rng.normal(0, 0.3, (5000, 2)), rng.normal(8, 0.5, (30, 2))
    kept = downsample_by_density(np.vstack([dense, rare]), 1000, np.random.default_rng(1))
    assert len(kept) == 1000
    assert (kept >= 5000).sum() == 30
    assert (np.diff(kept) > 0).all()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 5))
def test_never_more_than_asked_for_and_no_cell_twice(n, most, seed):
    points = np.random.default_rng(seed).integers(0, 3, (n, 2)).astype(np.float32)  # many at one place
    kept = downsample_by_density(points, most, np.random.default_rng(seed))
    assert len(kept) == min(n, most)
    assert len(set(kept)) == len(kept)
    assert (kept == downsample_by_density(points, most, np.random.default_rng(seed))).all()


def test_no_square_keeps_more_than_it_must():
    """Three squares of 10, 4 and 1 cells, and room for 9: 4, 4 and 1."""
    points = np.repeat([[0.0, 0.0], [5.0, 0.0], [5.0, 5.0]], [10, 4, 1], axis=0)
    kept = downsample_by_density(points, 9, np.random.default_rng(0))
    assert np.bincount(np.repeat([0, 1, 2], [10, 4, 1])[kept]).tolist() == [4, 4, 1]


def test_bytes_give_the_activity_back_to_half_a_step():
    values = np.random.default_rng(0).gamma(2, size=(400, 3)).astype(np.float32)
    values[:, 2] = 1.5
    codes, scale = to_bytes(values, np.arange(400), np.arange(3))
    inside = codes < BELOW
    back = scale[0] + codes / STEPS * (scale[1] - scale[0])
    step = (scale[1] - scale[0]) / STEPS
    assert (np.abs(back - values)[inside] <= np.broadcast_to(step / 2 + 1e-6, values.shape)[inside]).all()
    assert (values[codes == ABOVE] > 2).all()
    assert 0 < (codes[:, :2] == BELOW).sum() < 20
    assert (codes[:, 2] == 0).all()
    some, same = to_bytes(values, np.array([7, 300]), np.array([2, 0]))
    assert (some == codes[[7, 300]][:, [2, 0]]).all()
    np.testing.assert_array_equal(same, scale[:, [2, 0]])


def test_frame_keeps_the_shape():
    points = np.array([[0.0, 0.0], [4.0, 1.0], [2.0, 2.0]])
    framed = map_extent(points).astype(float) / 65535
    np.testing.assert_allclose(framed, [[0, 0.25], [1, 0.5], [0.5, 0.75]], atol=1e-4)
    assert map_extent(np.zeros((3, 2))).tolist() == [[32768, 32768]] * 3


def test_a_group_stands_where_it_is_thickest_and_not_between_its_islands():
    """Two islands of 40 and 50 points, thin ones between them: their median is among these."""
    rng = np.random.default_rng(2)
    islands = [rng.normal((0, 0), 0.02, (40, 2)), rng.normal((1, 1), 0.02, (50, 2))]
    between = np.linspace(0.2, 0.8, 20)[:, None] + rng.normal(0, 0.02, (20, 2))
    points = np.vstack([*islands, between])
    assert 0.05 < np.median(points, axis=0)[0] < 0.95
    for shift, scale in ((0, 1), (-7, 30)):
        at = thickest(shift + scale * points, scale * 1.0)
        assert np.linalg.norm(points[at] - 1) < 0.05


def test_one_point_and_points_at_one_place_stand_for_themselves():
    assert thickest(np.zeros((1, 2)), 3.0) == 0
    assert thickest(np.ones((4, 2)), 0.0) in range(4)
