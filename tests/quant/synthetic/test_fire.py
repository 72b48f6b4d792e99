# SPDX-License-Identifier: Apache-2.0
"""The FIRE model against SciPy's signal processing, and its noise against what theory says."""

import numpy as np
import pytest
from scipy import signal

from icsort.errors import IcsortError
from icsort.quant.synthetic.fire import CHANNELS, Detector, Instrument


@pytest.fixture(params=[64, 104])
def instrument(request: pytest.FixtureRequest) -> Instrument:
    return Instrument(columns=request.param)


@pytest.fixture
def lines(instrument: Instrument, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (5, instrument.columns)).astype(np.float32)


def test_the_detector_sees_a_sum_of_beating_spots(instrument: Instrument, lines: np.ndarray) -> None:
    time = np.arange(instrument.samples_per_line) / instrument.sample_rate_hz
    beats = 1 + np.cos(2 * np.pi * instrument.tones_hz[:, None] * time + instrument.phases[:, None])
    assert instrument.multiplex(lines) == pytest.approx(lines @ beats, abs=1e-3)
    assert instrument.tones_hz.max() < instrument.sample_rate_hz / 2


def test_demodulation_is_a_lock_in_at_every_tone(instrument: Instrument, lines: np.ndarray, seed: int) -> None:
    samples = instrument.multiplex(lines)
    samples += np.random.default_rng(seed).normal(0, 0.5, samples.shape).astype(np.float32)
    count = instrument.samples_per_line
    # SciPy's chirp-z transform at each tone's own frequency ...
    chirp = signal.zoom_fft(
        samples.astype(float),
        [instrument.tones_hz[0], instrument.tones_hz[-1]],
        m=instrument.columns,
        fs=instrument.sample_rate_hz,
        endpoint=True,
    )
    expected = (2 / count * chirp * np.exp(-1j * instrument.phases)).real
    found = instrument.demultiplex(samples)
    assert found == pytest.approx(expected, abs=1e-3)
    # ... and a mixer with a moving average as its low pass, read at the end of the line
    time = np.arange(count) / instrument.sample_rate_hz
    for column in (0, instrument.columns // 2, instrument.columns - 1):
        mixed = 2 * samples * np.cos(2 * np.pi * instrument.tones_hz[column] * time + instrument.phases[column])
        assert found[:, column] == pytest.approx(signal.lfilter(np.ones(count) / count, 1, mixed)[:, -1], abs=1e-3)


def test_without_noise_every_pixel_comes_back(instrument: Instrument, lines: np.ndarray) -> None:
    assert instrument.demultiplex(instrument.multiplex(lines)) == pytest.approx(lines, abs=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_noise_is_shot_noise_of_the_whole_line_and_dark_noise(level: float, seed: int) -> None:
    detector = Detector("x", photoelectrons=5_000, dark=0.01, full_scale=60.0)
    instrument = Instrument(adc_bits=20)
    lines = np.full((4000, 64), level, np.float32)
    seen = instrument.demultiplex(
        instrument.digitize(instrument.multiplex(lines), detector, np.random.default_rng(seed))
    )
    expected = np.sqrt(2 * lines[0].sum() / detector.photoelectrons + detector.dark**2)
    assert seen.std(axis=0) == pytest.approx(expected, rel=0.08)
    assert seen.mean(axis=0) == pytest.approx(level, abs=6 * expected / np.sqrt(4000))


def test_a_dark_pixel_beside_bright_ones_is_noisy(seed: int) -> None:
    """The multiplexing penalty: all pixels of a line share one detector."""
    instrument, light = Instrument(), np.zeros((200, 7, 2, 64), np.float32)
    light[:, :, 1, :32] = 0.5
    counts = instrument.image(light, np.random.default_rng(seed)).astype(float)
    alone, beside = counts[:, 0, 40:, 3].std(), counts[:, 1, 40:, 3].std()
    assert beside > 3 * alone


def test_the_converter_has_steps_and_saturates() -> None:
    detector = Detector("x", photoelectrons=1e12, dark=0.0, full_scale=10.0)
    instrument = Instrument(adc_bits=6)
    samples = np.linspace(-5, 15, 400, dtype=np.float32)
    seen = instrument.digitize(samples, detector, np.random.default_rng(0))
    assert len(np.unique(seen)) == 64
    step = 10 / 64
    inside = (samples > -0.5) & (samples < 9.3)
    assert np.abs(seen - samples)[inside].max() <= step / 2 + 1e-3
    assert (seen.min(), seen.max()) == pytest.approx((-4 * step, 59 * step))


def test_counts_are_the_digitized_light() -> None:
    quiet = tuple(Detector(each.name, 1e12, 0.0, 200.0) for each in CHANNELS)
    light = np.random.default_rng(1).uniform(0, 1, (2, 7, 5, 64)).astype(np.float32)
    counts = Instrument(detectors=quiet, adc_bits=24).image(light, np.random.default_rng(0))
    assert counts.shape == (2, 5, 64, 7)
    expected = (light.transpose(0, 2, 3, 1) + 1.0) * 16384
    assert np.abs(counts - expected).max() <= 4


def test_the_line_rate_follows_from_flow_and_pitch() -> None:
    instrument = Instrument(pixel_um=0.5, flow_speed_m_per_s=1.0)
    assert instrument.line_rate_hz == pytest.approx(2e6)
    assert np.diff(instrument.tones_hz) == pytest.approx(2e6)
    with pytest.raises(IcsortError, match="at least 1"):
        Instrument(columns=0)
