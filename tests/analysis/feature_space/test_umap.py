"""Maps and densities: arrays in, arrays out."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimotion.analysis.feature_space import umap
from bimotion.errors import MissingExtra, SettingError

coordinates = st.lists(st.tuples(*[st.floats(-50, 50)] * 2), min_size=1, max_size=40).map(np.array)


@settings(max_examples=30, deadline=None)
@given(coordinates)
def test_a_density_integrates_to_one_inside_its_square(points):
    left, bottom, side = square = umap.square_around(points)
    density, step = umap.density(points, square), side / umap.GRID
    assert density.values.sum() * step**2 == pytest.approx(1)
    assert density.values.min() >= 0
    assert np.diff(density.x) == pytest.approx(step)
    assert ((points >= [left, bottom]) & (points <= [left + side, bottom + side])).all()


def test_regions_hold_their_share_and_follow_the_points():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal((0, 0), 1, (300, 2)), rng.normal((20, 5), 1, (100, 2))])
    square = umap.square_around(points)
    density, step = umap.density(points, square), square[2] / umap.GRID
    for share in (0.5, 0.9):
        held = density.values[density.values >= density.level(share)].sum() * step**2
        assert held == pytest.approx(share, abs=0.02)
    pytest.importorskip("contourpy", reason="the extra `figures` is not installed")
    hills = np.array([[0, 0], [20, 5]])
    for share, climbed in ((0.3, {0}), (0.9, {0, 1})):
        corners = np.concatenate(density.regions(share))
        away = np.linalg.norm(corners[:, None] - hills, axis=2)
        assert set(away.argmin(axis=1)) == climbed
        assert away.min(axis=1).max() < 4


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_alignment_moves_and_turns_but_keeps_distances(seed):
    rng = np.random.default_rng(seed)
    points, goals = rng.normal(size=(12, 2)), rng.normal(size=(5, 2))
    moved = umap.aligned(points, points[:5], goals)
    before, after = (np.linalg.norm(some[:, None] - some, axis=2) for some in (points, moved))
    assert after == pytest.approx(before, abs=1e-9)
    assert ((moved[:5] - goals) ** 2).sum() <= ((points[:5] - goals) ** 2).sum() + 1e-9


@pytest.mark.parametrize("module", ["umap", "matplotlib", "contourpy"])
def test_a_missing_package_is_named(module, monkeypatch):
    for name in {"umap", "matplotlib", "contourpy"} - {module}:
        monkeypatch.setitem(sys.modules, name, pytest)  # any module that has a spec
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"pip install 'bimotion\[figures\]'"):
        umap.require_extra()


def test_a_map_is_the_same_twice_keeps_groups_apart_and_leaves_the_threads_of_torch():
    torch = pytest.importorskip("torch")
    pytest.importorskip("umap")
    rng, before = np.random.default_rng(0), torch.get_num_threads()
    features = np.concatenate([rng.normal(shift, 1, (30, 10)) for shift in (0, 8)])
    try:
        torch.set_num_threads(1)
        points, again, other = (umap.project(features, seed=seed) for seed in (3, 3, 4))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(points, again)
    assert not np.array_equal(points, other)
    groups = np.array([points[:30], points[30:]])
    middles = groups.mean(axis=1, keepdims=True)
    spread = np.linalg.norm(groups - middles, axis=2).mean(axis=1).max()
    assert np.linalg.norm(middles[0] - middles[1]) > 2 * spread
    with pytest.raises(SettingError, match="at least 10 clips to draw a map of, found 9"):
        umap.project(features[:9])
