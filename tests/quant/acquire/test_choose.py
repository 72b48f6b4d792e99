# SPDX-License-Identifier: Apache-2.0
"""Acquisition settings chosen from cells: trigger against noise, window, preprocessing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.acquisition import Acquisition, InputSpec, LineSpec, PreprocessSpec, TriggerSpec
from icsort.quant.acquire.choose import LEAST_NOISE, Rules, choose_setup, measure_background
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.cells.find import Dataset
from icsort.sim.bit_true.event import Trigger, line_sums
from icsort.sim.bit_true.features import image_features

NOISE = 10.0
WIDTH = 16


def cells(count: int, seed: int, brightness: float = 400.0, empty: int = 0) -> list[NDArray[np.uint16]]:
    """Noisy images of one channel with a cell of four lines in the middle, `empty` of them without one."""
    images = np.random.default_rng(seed).normal(1000, NOISE, (count, 20, WIDTH, 1))
    images[empty:, 8:12] += brightness
    return list(np.rint(images).astype(np.uint16))


def one_threshold(threshold: int, height: int, width: int) -> Acquisition:
    return Acquisition(
        channels=("stain",),
        input=InputSpec(height=height, width=width, channels=1),
        line=LineSpec(width=width),
        trigger=TriggerSpec.whole_window(0, 1, threshold, height),
        preprocess=PreprocessSpec(background=(0,), gain=(65536,), shift=16),
    )


def share_of_empty_lines_that_trigger(trigger: Trigger, seed: int) -> float:
    lines = np.rint(np.random.default_rng(seed + 1).normal(1000, NOISE, (20_000, WIDTH, 1))).astype(np.uint16)
    return float((line_sums(lines, trigger) >= trigger.on).mean())


def test_the_trigger_finds_every_training_cell_and_no_noise(dataset: Dataset) -> None:
    setup = choose_setup(dataset.images, dataset.channels)
    assert setup.acquisition.trigger.weights == tuple(int(name == "DNA") for name in dataset.channels)
    cut = cut_cells(dataset.images, setup.acquisition, setup.background)
    assert cut.cells.tolist() == list(range(len(dataset.images)))
    assert len(cut.missed) == 0
    assert setup.false_triggers.empty_lines == 2 * len(dataset.images)
    assert setup.false_triggers.triggers == 0
    empty = setup.background.behind(dataset.images[0], 2000)
    assert empty.std() > 1
    assert len(cut_cells([empty], setup.acquisition, setup.background).cells) == 0


@pytest.mark.parametrize("empty", [0, 1, 5])
def test_a_few_empty_crops_among_a_thousand_do_not_lower_the_threshold(seed: int, empty: int) -> None:
    images = cells(1000, seed, empty=empty)
    setup = choose_setup(images, ["stain"])
    trigger = setup.acquisition.event_trigger
    assert share_of_empty_lines_that_trigger(trigger, seed) < 1e-4
    cut = cut_cells(images, setup.acquisition, setup.background)
    assert cut.missed.tolist() == list(range(empty))
    assert setup.false_triggers.per_line == 0


def test_dim_cells_lower_the_threshold_to_what_is_still_far_from_noise(seed: int) -> None:
    line_noise = NOISE * WIDTH**0.5
    # the dimmest percentile of the brightest of four lines is half a standard deviation lower
    setup = choose_setup(cells(1000, seed, brightness=6.0 * line_noise / WIDTH), ["stain"])
    threshold = setup.acquisition.trigger.on
    assert 1000 * WIDTH + 0.9 * LEAST_NOISE * line_noise < threshold < 1000 * WIDTH + 6.0 * line_noise
    with pytest.raises(IcsortError, match=r"stand out most in stain, by [1-4]\.\d standard deviations"):
        choose_setup(cells(1000, seed, brightness=2.0 * line_noise / WIDTH), ["stain"])


def test_images_without_cells_are_refused(seed: int) -> None:
    for images in (cells(50, seed, brightness=0), [np.full((20, WIDTH, 1), 1000, np.uint16)] * 5):
        with pytest.raises(IcsortError, match="no channel tells cells from empty lines") as caught:
            choose_setup(images, ["stain"])
        assert "\n" not in str(caught.value)


def test_a_threshold_in_the_noise_is_told_by_its_rate(seed: int) -> None:
    """Two standard deviations above the background: 2.3 % of the empty lines; lines that a cell fills are not empty."""
    images = cells(2000, seed)
    for image in images[:100]:
        image[0] += 400  # the tip of a cell at the upper edge
        image[1] += 40
    acquisition = one_threshold(round(1000 * WIDTH + 2 * NOISE * WIDTH**0.5), 20, WIDTH)
    trigger = acquisition.event_trigger
    background, false_triggers = measure_background(images, acquisition)
    assert abs(false_triggers.empty_lines - 3900) < 10
    assert false_triggers.per_line == pytest.approx(0.0228, abs=0.01)
    sums = line_sums(background.lines, trigger)
    assert len(background.lines) == 1024
    assert sums.max() < 1000 * WIDTH + 6 * NOISE * WIDTH**0.5
    assert sums.std() == pytest.approx(NOISE * WIDTH**0.5, rel=0.1)
    assert false_triggers.per_cell(20, 100, 12_000) == pytest.approx(false_triggers.per_line * 100)


def test_nothing_lies_between_frames_without_a_border() -> None:
    images = [np.full((12, 12, 1), 50, np.uint16)] * 3
    background, false_triggers = measure_background(images, one_threshold(100, 12, 12))
    assert background.lines.shape == (1, 12, 1)
    assert not background.lines.any()
    assert false_triggers.per_line is None


def test_preprocessing_uses_the_range_of_8_bit(dataset: Dataset) -> None:
    setup = choose_setup(dataset.images, dataset.channels)
    pixels = setup.acquisition.pixels(np.stack(dataset.images))
    assert (np.percentile(pixels, 0.05, axis=(0, 1, 2)) <= 1).all()
    assert (np.percentile(pixels, 99.95, axis=(0, 1, 2)) >= 254).all()
    background = setup.background.pixel(setup.acquisition)
    assert 60 < background[0] < 195  # brightfield goes both ways
    assert background[1] < 30


def test_the_brightest_percentile_becomes_255(dataset: Dataset) -> None:
    raw = np.stack(dataset.images)
    for brightest in (99.0, 99.9, 100.0):
        acquisition = choose_setup(dataset.images, dataset.channels, brightest=brightest).acquisition
        limits = np.percentile(raw, brightest, axis=(0, 1, 2))
        white = acquisition.pixels(raw) == 255
        assert white[raw > limits + 1].all()
        low = np.asarray(acquisition.preprocess.background)
        assert not white[raw < low + (limits - low) * 0.99].any()
    for wrong in (50.0, 100.1, float("nan")):
        with pytest.raises(IcsortError, match="percentile above 50"):
            choose_setup(dataset.images, dataset.channels, brightest=wrong)


def test_a_narrow_channel_keeps_its_gain_in_18_bits() -> None:
    images = [np.zeros((12, 12, 2), np.uint16) for _ in range(20)]
    for image in images:
        image[4:8, 4:8] = [3, 60000]
    acquisition = choose_setup(images, ["dim", "bright"]).acquisition
    assert max(acquisition.preprocess.gain) < 2**17
    narrow, wide = acquisition.pixels(np.asarray([[3, 60000]], np.uint16))[0]
    assert narrow == 255
    assert wide > 225  # both gains have one shift, so that the wide channel's is coarse


def test_images_are_windows_where_few_begin_with_an_empty_line() -> None:
    images = [np.full((12, 12, 1), 4 + index, np.uint16) for index in range(60)]
    images[7][:2] = 0
    setup = choose_setup(images, ["stain"], window="image")
    cut = cut_cells(images, setup.acquisition, setup.background)
    assert cut.cells.tolist() == list(range(60))
    assert all((window == image).all() for window, image in zip(cut.windows[8:], images[8:], strict=True))
    assert cut.windows[7, :, 0, 0].tolist() == [11] * 10 + [0, 0]
    for image in images[:9]:
        image[0] = 0
    with pytest.raises(IcsortError, match="begin with an empty line"):
        choose_setup(images, ["stain"], window="image")


@pytest.mark.parametrize("shape", [(256, 12, 1), (12, 256, 1), (12, 12, 256)])
def test_what_no_package_could_hold_is_refused(shape: tuple[int, int, int]) -> None:
    image = np.zeros(shape, np.uint16)
    image[4:8, 4:8] = 500
    with pytest.raises(IcsortError, match="256: it must be less than or equal to 255"):
        choose_setup([image] * 20, [f"channel {i}" for i in range(shape[2])])


def test_an_event_ends_where_few_cells_have_a_gap(seed: int) -> None:
    """Lines of a cell that are as dark as background are bridged where more cells than a few have them."""
    for gap, gapped, ends in ((0, 0, 2), (4, 1, 2), (4, 50, 5), (10, 50, 8)):
        images = cells(400, seed)
        for image in images:
            image[11] = image[7]
        for image in images[:gapped]:
            image[9 + gap] = image[8]
            image[9 : 9 + gap] = image[:gap]
        trigger = choose_setup(images, ["stain"]).acquisition.trigger
        assert (trigger.end_lines, trigger.post_lines) == (ends, ends), gap
        assert trigger.max_lines == 2 * max(3, gap + 2 if gapped else 0)
        assert 1000 * WIDTH < trigger.off < trigger.on
        assert trigger.pre_lines == 2


def test_a_narrow_window_is_the_middle_of_the_line_or_follows_the_cell(seed: int) -> None:
    random = np.random.default_rng(seed)
    images, middles = [], np.arange(60) % 24 + 4
    ramp = np.linspace(900, 1500, 32)[:, np.newaxis]  # a window dirtier at one side
    for middle in middles:
        image = ramp + random.normal(0, 3, (20, 32, 1))
        image[7:12, middle - 2 : middle + 3] += 500
        images.append(np.rint(image).astype(np.uint16))
    inside = [image for image, middle in zip(images, middles, strict=True) if 14 <= middle < 18]
    fixed = choose_setup(inside, ["stain"], rules=Rules(width=8, pre_lines=1)).acquisition
    assert (fixed.line.x_offset, fixed.line.width, fixed.input.width, fixed.flat_field) == (12, 32, 8, None)
    assert (fixed.event_trigger.first_column, fixed.event_trigger.last_column) == (12, 19)
    setup = choose_setup(images, ["stain"], rules=Rules(width=9, centred=True, pre_lines=1))
    cut = cut_cells(images, setup.acquisition, setup.background)
    assert cut.cells.tolist() == list(range(60))
    inner = (middles >= 5) & (middles < 27)
    bright = setup.acquisition.pixels(cut.windows)[inner][:, 1:6, 2:7, 0]
    assert bright.min() > 150
    with pytest.raises(IcsortError, match="--centred with --window image"):
        choose_setup(images, ["stain"], window="image", rules=Rules(centred=True))


def test_features_count_what_stands_out_of_the_background(seed: int) -> None:
    settings = choose_setup(cells(200, seed), ["stain"]).acquisition.feature_settings
    assert abs(settings.background[0] - 1000) <= 2
    assert 5 * NOISE <= settings.threshold[0] <= 7 * NOISE
    (image,) = cells(1, seed + 1)
    assert image_features(image, settings)[0] == (image[8:12] - settings.background[0] >= settings.threshold[0]).sum()
    assert image_features(image, settings)[0] > 3.9 * WIDTH
