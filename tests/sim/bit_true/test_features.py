# SPDX-License-Identifier: Apache-2.0
"""Features against scikit-image, NumPy and exact integers, within the bounds of docs/features.md; its tables."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import inertia_tensor_eigvals, regionprops

from icsort.errors import IcsortError
from icsort.real_data import real_data_folder
from icsort.sim.bit_true import features
from icsort.sim.bit_true.features import MATRIX_BITS, Settings, count, image_features, names, pairs, scales

UNIT = 2.0**-features.LOG_BITS
CENTER, MOMENT, RATIO = 2.0**-9, 2.0**-9, 2.0**-17  # half of the last bit
FLOAT = 1e-6  # of the reference, which is in double precision


def reference(image: np.ndarray, at: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Features of an image by scikit-image and NumPy, 0 where there is none, and what the integers may differ by."""
    channels = len(at.background)
    dark = image.astype(np.int64) - np.asarray(at.background)
    value = np.maximum(dark, 0)
    mask = value >= np.asarray(at.threshold)
    masked = np.where(mask, value, 0)
    wanted = dict.fromkeys(names(channels), 0.0)
    error = dict.fromkeys(wanted, 0.0)
    centers = np.full((channels, 2), np.nan)
    for c in range(channels):
        if not mask[..., c].any():
            continue
        (props,) = regionprops(mask[..., c].astype(np.uint8), intensity_image=masked[..., c])
        wanted[f"Size ({c})"] = props.area
        wanted[f"Max Intensity ({c})"] = props.intensity_max
        wanted[f"Total Intensity ({c})"] = min(round(props.intensity_mean * props.area), 2**31 - 1)
        if not masked[..., c].any():
            continue
        y, x = props.centroid_weighted
        centers[c] = y, x
        wanted[f"Center of Mass (X) ({c})"], wanted[f"Center of Mass (Y) ({c})"] = x, y
        for name, position in ("X", x), ("Y", y):
            error[f"Center of Mass ({name}) ({c})"] = CENTER + 4.4 * UNIT * position + FLOAT
        long, short = inertia_tensor_eigvals(masked[..., c], mu=props.moments_weighted_central)
        radial = long + short
        wanted[f"Long Axis Moment ({c})"], wanted[f"Short Axis Moment ({c})"] = long, short
        wanted[f"Radial Moment ({c})"] = radial
        error[f"Radial Moment ({c})"] = MOMENT + 7 * UNIT * radial + FLOAT
        error[f"Long Axis Moment ({c})"] = MOMENT + 28 * UNIT * long + FLOAT
        error[f"Short Axis Moment ({c})"] = 2 * MOMENT + 35 * UNIT * radial + FLOAT
        eccentricity = math.sqrt(max(0.0, 1 - short / long)) if long > 0 else 0.0
        wanted[f"Eccentricity ({c})"] = eccentricity
        # In double precision 1 - short / long is known to 1e-12 or so: its root to 1e-6.
        error[f"Eccentricity ({c})"] = (
            RATIO + 13.2 * UNIT * eccentricity + FLOAT + (1e-12 / eccentricity if eccentricity > 1e-6 else 1e-6)
        )
    union = mask.any(axis=2)
    for a, b in pairs(channels):
        if not np.isnan(centers[[a, b]]).any():
            away = math.hypot(*(centers[a] - centers[b]))
            rounded = 2 * (CENTER + 4.4 * UNIT * centers[[a, b]].max())
            wanted[f"Delta CoM ({a}/{b})"] = away
            error[f"Delta CoM ({a}/{b})"] = math.sqrt(2) * rounded + CENTER + 3 * UNIT * away + FLOAT
        first, second = masked[union][:, a], masked[union][:, b]
        if union.any() and np.ptp(first) and np.ptp(second):
            correlation = np.corrcoef(first, second)[0, 1]
            wanted[f"Correlation ({a}/{b})"] = correlation
            error[f"Correlation ({a}/{b})"] = RATIO + 5 * UNIT * abs(correlation) + FLOAT
    return np.asarray(list(wanted.values())), np.asarray(list(error.values()))


def check(image: np.ndarray, at: Settings) -> None:
    got = image_features(image, at) * scales(image.shape[2])
    wanted, error = reference(image, at)
    off = {
        name: (value, right, bound)
        for name, value, right, bound in zip(names(image.shape[2]), got, wanted, error, strict=True)
        if not abs(value - right) <= bound
    }
    assert not off


def cell_settings(images: np.ndarray) -> Settings:
    """As one would set them: a low percentile of each channel, a tenth above that of its brightest."""
    low = np.percentile(images, 10, axis=(0, 1, 2))
    high = np.percentile(images, 99.5, axis=(0, 1, 2))
    return Settings(tuple(low.astype(int).tolist()), tuple(((high - low) / 10).astype(int).tolist()))


@pytest.mark.parametrize("every", [40, pytest.param(1, marks=pytest.mark.full)])
def test_real_cells(every: int) -> None:
    files = sorted((real_data_folder() / "jurkat_cell_cycle").glob("*.tif"))
    if not files:
        pytest.skip("no real cells: set ICSORT_DATA")
    stacks = [tifffile.imread(file) for file in files]
    cells = np.moveaxis(np.concatenate(stacks), 1, -1)[::every]
    at = cell_settings(cells)
    for cell in cells:
        check(cell, at)


@pytest.mark.parametrize("seed", range(12))
def test_drawn_images(seed: int) -> None:
    """Noise, spots far from the origin, single pixels, thin lines, full scale, nothing at all."""
    rng = np.random.default_rng(seed)
    height, width, channels = int(rng.integers(1, 256)), int(rng.integers(1, 257)), int(rng.integers(1, 5))
    image = np.zeros((height, width, channels))
    y, x = np.mgrid[:height, :width]
    for c in range(channels):
        kind = rng.integers(6)
        at_y, at_x, wide = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.5, 30, 2)
        spot = np.exp(-(((y - at_y) / wide[0]) ** 2) - ((x - at_x + 0.5 * y) / wide[1]) ** 2)
        image[..., c] = [
            rng.uniform(0, 65535, (height, width)),
            65535 * spot,
            200 * spot,
            (y == height // 2) & (x == width // 2),
            np.full((height, width), 65535.0),
            np.zeros((height, width)),
        ][kind]
    check(image.astype(np.uint16), Settings((0,) * channels, tuple(rng.integers(1, 300, channels).tolist())))


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 2, 65535]))
@settings(max_examples=200, deadline=None)
def test_small_images(seed: int, height: int, width: int, most: int) -> None:
    """Few pixels of few counts, where every count matters."""
    image = np.random.default_rng(seed).integers(0, most + 1, (height, width, 2)).astype(np.uint16)
    check(image, Settings((0, 0), (1, 1)))


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_lines_add_up_to_the_event(seed: int) -> None:
    """Sums of an event that lies in a stream of lines: those of its pixels, in Python's integers."""
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 5))
    lines = rng.integers(0, 65536, (9, 7, channels)).astype(np.uint16)
    first = int(rng.integers(0, 9))
    last = int(rng.integers(first, 9))
    at = Settings(tuple(rng.integers(0, 30000, channels).tolist()), tuple(rng.integers(0, 30000, channels).tolist()))
    sums = features.event_sums(features.line_sums(lines, at), [first], [last])
    for c in range(channels):
        pixels = [
            (int(lines[line, x, c]) - at.background[c], x, line - first)
            for line in range(first, last + 1)
            for x in range(7)
            if max(int(lines[line, x, c]) - at.background[c], 0) >= at.threshold[c]
        ]
        pixels = [(max(value, 0), x, y) for value, x, y in pixels]
        assert sums.size[0, c] == len(pixels)
        assert sums.largest[0, c] == max((value for value, _, _ in pixels), default=0)
        for name, power_x, power_y in (
            *(("total", 0, 0), ("x", 1, 0), ("y", 0, 1), ("xx", 2, 0), ("yy", 0, 2), ("xy", 1, 1)),
        ):
            assert getattr(sums, name)[0, c] == sum(value * x**power_x * y**power_y for value, x, y in pixels), name
        assert sums.square[0, c] == sum(value * value for value, _, _ in pixels)
    whole = image_features(lines[first : last + 1], at)
    assert whole.tolist() == features.features(lines, [first], [last], at)[0].tolist()


def test_compensation() -> None:
    """A matrix on Max and Total, rounded as NumPy rounds down half a count added; saturated at 32 bits."""
    image = np.random.default_rng(3).integers(0, 65536, (20, 256, 3)).astype(np.uint16)
    plain = Settings((0, 100, 0), (0, 500, 0))
    matrix = np.asarray([[1, -0.25, 0.1], [-0.01, 1.5, 0], [7.9, 7.9, 7.9]])
    integers = np.round(matrix * 2**MATRIX_BITS).astype(int)
    mixed = Settings(plain.background, plain.threshold, tuple(map(tuple, integers.tolist())))
    before, after = image_features(image, plain), image_features(image, mixed)
    for at in (3, 6):
        exact = integers @ before[at : at + 3] / 2**MATRIX_BITS
        assert after[at : at + 3].tolist() == np.minimum(np.floor(exact + 0.5), 2**31 - 1).tolist()
    assert after[8] == 2**31 - 1
    kept = [*range(3), *range(9, count(3))]
    assert (before[kept] == after[kept]).all()


def test_names() -> None:
    assert [count(channels) for channels in range(1, 9)] == [len(names(channels)) for channels in range(1, 9)]
    assert count(3) == 33
    assert names(["a", "b"])[:2] == ["Size (a)", "Size (b)"]
    assert names(3)[-3:] == ["Correlation (0/1)", "Correlation (0/2)", "Correlation (1/2)"]
    assert len(scales(3)) == 33


def test_tables_are_the_hardware_s() -> None:
    text = (Path(features.__file__).resolve().parents[2] / "hw/rtl/sorter/feature_tables_pkg.sv").read_text()
    for name, table, bits in (
        ("LOG2", features.LOG2, 12),
        ("EXP2", features.EXP2, 12),
        ("LOG2_SUM", features.LOG2_SUM, 13),
    ):
        body = re.search(rf" {name} \[\d+\] = '\{{(.*?)\}};", text, re.DOTALL)
        assert body
        entries = np.asarray([int(entry, 16) for entry in re.findall(r"'h([0-9A-F]+)", body.group(1))])
        assert (entries >> bits).tolist() == table[:-1].tolist()
        assert (entries % 2**bits).tolist() == np.abs(np.diff(table)).tolist()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Settings((), ()), "0 backgrounds"),
        (lambda: Settings((0,) * 9, (0,) * 9), "1 to 8 channels"),
        (lambda: Settings((0, 0), (0,)), "2 backgrounds and 1 thresholds"),
        (lambda: Settings((65536,), (0,)), r"background\[0\]"),
        (lambda: Settings((0,), (-1,)), r"threshold\[0\]"),
        (lambda: Settings((0,), (0,), ((1, 2),)), "1 rows of 1"),
        (lambda: Settings((0,), (0,), ((2**17,),)), "holds 8"),
        (lambda: image_features(np.zeros((2, 2, 2), np.uint16), Settings((0,), (0,))), "1 channels"),
        (lambda: image_features(np.zeros((2, 2, 1), np.int64), Settings((0,), (0,))), "int64"),
        (lambda: image_features(np.zeros((2, 257, 1), np.uint16), Settings((0,), (0,))), "at most 256"),
        (lambda: image_features(np.zeros((256, 2, 1), np.uint16), Settings((0,), (0,))), "255 lines"),
    ],
)
def test_refuses(make, named: str) -> None:
    with pytest.raises(IcsortError, match=named) as caught:
        make()
    assert "\n" not in str(caught.value)
