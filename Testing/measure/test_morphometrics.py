"""Size and shape: superimposed, compared, and taken apart into components."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy.spatial import procrustes

from LandmarkDetectorLib.core import MeasurementError
from LandmarkDetectorLib.evaluation.canvas import figure_png
from LandmarkDetectorLib.measure.morphometrics import pca_figure, procrustes_distance, shape_pca, superimpose

RNG = np.random.default_rng(0)
SQUARE = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])


def posed(shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same shape elsewhere, turned and of another size."""
    d = shape.shape[1]
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    turn[:, 0] *= np.sign(np.linalg.det(turn))
    return rng.uniform(0.5, 3) * shape @ turn.T + rng.normal(0, 50, d)


@pytest.mark.parametrize("d", [2, 3])
def test_shapes_that_differ_by_pose_and_size_only_are_laid_on_each_other(d):
    rng = np.random.default_rng(d)
    shape = rng.normal(size=(9, d))
    laid = superimpose([posed(shape, rng) for _ in range(6)])
    assert laid.shapes == pytest.approx(np.broadcast_to(laid.mean, (6, 9, d)), abs=1e-9)
    assert (laid.mean**2).sum() == pytest.approx(1)
    assert laid.mean.mean(0) == pytest.approx(np.zeros(d), abs=1e-12)


def test_sizes_are_centroid_sizes_in_the_landmarks_unit():
    assert superimpose([SQUARE, 3 * SQUARE]).sizes == pytest.approx([2**0.5, 3 * 2**0.5])


def test_the_distance_of_a_square_and_a_rectangle_is_known_by_hand():
    # Unit-size corners (±a, ±b) with a² + b² = 1/4: the angle between them has the cosine 4(a·c + b·d).
    wide = SQUARE * (3, 1)
    cosine = (3 + 1) / np.sqrt(2 * 10)
    angle = np.arccos(cosine)
    assert procrustes_distance(SQUARE, wide, "riemannian") == pytest.approx(angle)
    assert procrustes_distance(SQUARE, wide, "full") == pytest.approx(np.sin(angle))
    assert procrustes_distance(SQUARE, wide) == pytest.approx(2 * np.sin(angle / 2))


def test_the_full_distance_is_that_of_scipy_where_no_reflection_helps():
    a = RNG.normal(size=(10, 3))
    b = a + 0.2 * RNG.normal(size=a.shape)
    assert procrustes_distance(a, b, "full") ** 2 == pytest.approx(procrustes(a, b)[2])
    assert procrustes_distance(posed(a, RNG), posed(b, RNG)) == pytest.approx(procrustes_distance(b, a))


def test_a_mirror_image_is_another_shape():
    shape = RNG.normal(size=(8, 3))
    assert procrustes_distance(shape, shape) == pytest.approx(0, abs=1e-7)
    assert procrustes_distance(shape, shape * (-1, 1, 1)) > 0.3


def made_population(d: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Specimens that vary along one known direction, and a tenth of it along another, in odd poses."""
    rng = np.random.default_rng(20 + d)
    mean = rng.normal(size=(12, d)) * 20
    first, second = rng.normal(size=(2, 12, d))
    weights = rng.normal(size=(count, 2)) * (1.0, 0.2)
    shapes = mean + np.einsum("nw,wkd->nkd", weights, np.stack([first, second]))
    return np.array([posed(shape, rng) for shape in shapes]), weights


@pytest.mark.parametrize("d", [2, 3])
def test_the_first_component_is_what_varies_most(d):
    shapes, weights = made_population(d)
    pca = shape_pca(shapes)
    assert pca.explained[0] > 0.85
    assert pca.explained.sum() == pytest.approx(1)
    assert abs(np.corrcoef(pca.scores[:, 0], weights[:, 0])[0, 1]) > 0.99
    assert pca.explained[2:].sum() < 1e-3
    assert len(pca.variances) == 12 * d - d - d * (d - 1) // 2 - 1
    assert pca.scores.var(axis=0, ddof=1) == pytest.approx(pca.variances)
    along = pca.directions[:2].reshape(2, -1) @ pca.superimposed.mean.reshape(-1)
    assert along == pytest.approx(0, abs=1e-9)  # no component is a change of size
    moved = pca.shape_at(0, 2) - pca.superimposed.mean
    assert np.linalg.norm(moved) == pytest.approx(2 * np.sqrt(pca.variances[0]))


def test_components_do_not_depend_on_the_poses_of_the_specimens():
    shapes, _ = made_population(3)
    again = np.array([posed(shape, RNG) for shape in shapes])
    one, other = shape_pca(shapes), shape_pca(again)
    assert other.variances[:2] == pytest.approx(one.variances[:2], rel=1e-6)
    assert np.abs(other.scores[:, 0]) == pytest.approx(np.abs(one.scores[:, 0]), abs=1e-6)


@pytest.mark.parametrize("d", [2, 3])
def test_shape_space_is_drawn(d):
    shapes, _ = made_population(d, 12)
    figure = pca_figure(shape_pca(shapes), [f"s{i}" for i in range(12)], [f"m{i}" for i in range(12)])
    picture = Pillow.open(io.BytesIO(figure_png(figure, 40)))
    assert len(figure.axes) == 1 + 2 * (d - 1)
    assert len(picture.convert("RGB").getcolors(10**6)) > 50
    assert "12 specimens" in figure.axes[0].get_title()


def test_what_has_no_shape_is_refused_by_name():
    missing = np.stack([SQUARE, SQUARE])
    missing[1, 2] = np.nan
    for shapes, why in (
        (missing, "Landmark 2 of specimen 1 is missing"),
        ([SQUARE], "are not"),
        ([SQUARE[:2]] * 3, "three landmarks"),
        ([SQUARE, np.ones((4, 2))], "specimen 1 are in one place"),
    ):
        with pytest.raises(MeasurementError, match=why):
            superimpose(shapes)
    with pytest.raises(MeasurementError, match="not the same landmarks"):
        procrustes_distance(SQUARE, SQUARE[:3])
    with pytest.raises(MeasurementError, match="no Procrustes distance 'chord'"):
        procrustes_distance(SQUARE, 2 * SQUARE, "chord")  # type: ignore[arg-type]
    with pytest.raises(MeasurementError, match="two components"):
        pca_figure(shape_pca([SQUARE, SQUARE * (2, 1)]))
    with pytest.raises(MeasurementError, match="do not fit"):
        pca_figure(shape_pca([SQUARE, SQUARE * (2, 1), SQUARE * (3, 1) + SQUARE**2]), ["one"])
