# SPDX-License-Identifier: Apache-2.0
"""How a FIRE microscope sees light: beat-frequency multiplexing, detector noise, digitization, demodulation.

A line of excitation spots lies across the stream; the intensity of each spot beats at a radio frequency of its own, so
that one fast detector a channel sees all pixels of a line at once and a Fourier transform tells them apart; the flow
moves the cell to the next line (Diebold et al., Nature Photonics 7, 806, 2013; Schraivogel et al., Science 375, 315,
2022). Light is in the detector's arbitrary units, as in the sorter's TIFFs: 1.0 is a bright pixel.

Of the published instrument neither line rate, tones, photon numbers nor converter are known to us. Every number here is
an assumption, chosen so that the empty background has the noise that the sorter's published images show.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from icsort.errors import IcsortError
from icsort.quant.cells.counts import Digitization


@dataclass(frozen=True)
class Detector:
    """One channel's detector.

    photoelectrons: that a pixel of 1.0 gives during one line; the fewer, the more shot noise, and it spreads over the
    whole line, for all pixels share the detector. dark: standard deviation that a demodulated pixel has without light
    (amplifier, thermal). full_scale: largest detector signal that the converter takes, in units of the sum over a line.
    """

    name: str
    photoelectrons: float
    dark: float
    full_scale: float


CHANNELS = (
    Detector("LightLoss (Blue)", photoelectrons=400_000, dark=0.004, full_scale=150.0),
    Detector("FSC", photoelectrons=60_000, dark=0.015, full_scale=60.0),
    Detector("SSC", photoelectrons=30_000, dark=0.010, full_scale=60.0),
    Detector("Blue_BP/534/46/LP/505", photoelectrons=6_000, dark=0.010, full_scale=60.0),
    Detector("Blue_BP/586/42/LP/560", photoelectrons=5_000, dark=0.009, full_scale=60.0),
    Detector("Blue_BP/700/54/LP/665", photoelectrons=4_000, dark=0.010, full_scale=60.0),
    Detector("Blue_BP/783/56/LP/752", photoelectrons=3_000, dark=0.012, full_scale=60.0),
)


@dataclass(frozen=True)
class Instrument:
    """The microscope. All defaults are assumptions.

    columns: pixels of a line, one tone each. pixel_um: pitch of pixels and, with the flow speed, of lines. first_tone:
    beat frequency of column 0 in units of the line rate; the others follow at one line rate each, the closest that a
    line can tell apart. adc_bits: of the converter. optics_um: half width of a point (resolution). digitization: from
    demodulated values to 16-bit counts.
    """

    columns: int = 64
    pixel_um: float = 0.5
    flow_speed_m_per_s: float = 1.1
    first_tone: int = 8
    adc_bits: int = 14
    optics_um: float = 0.5
    detectors: tuple[Detector, ...] = CHANNELS
    digitization: Digitization = field(default_factory=Digitization)

    def __post_init__(self) -> None:
        if self.columns < 1 or self.first_tone < 1:
            raise IcsortError(f"{self.columns} columns from tone {self.first_tone}: both must be at least 1")

    @property
    def line_rate_hz(self) -> float:
        return self.flow_speed_m_per_s / (self.pixel_um * 1e-6)

    @property
    def samples_per_line(self) -> int:
        """Converter samples during a line: above twice the highest tone, a length that transforms fast."""
        return int(fft.next_fast_len(2 * (self.first_tone + self.columns) + 2, real=True))

    @property
    def sample_rate_hz(self) -> float:
        return self.samples_per_line * self.line_rate_hz

    @property
    def tones_hz(self) -> NDArray[np.float64]:
        """Beat frequency of each column, (W,)."""
        return np.asarray((self.first_tone + np.arange(self.columns)) * self.line_rate_hz, dtype=np.float64)

    @property
    def phases(self) -> NDArray[np.float64]:
        """Phase of each tone, (W,): quadratic (Schroeder), so that the tones of a bright line do not add up at once."""
        return np.asarray(np.pi * np.arange(self.columns) ** 2 / self.columns, dtype=np.float64)

    def multiplex(self, lines: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a noiseless detector sees. lines (..., W) of light to (..., S) samples.

        Each spot shines as 1 + cos: sample n is the sum over columns of light (1 + cos(2 pi tone n / S + phase)).
        """
        samples = self.samples_per_line
        spectrum = np.zeros((*lines.shape[:-1], samples // 2 + 1), np.complex64)
        spectrum[..., 0] = samples * lines.sum(axis=-1)
        turn = (samples / 2 * np.exp(1j * self.phases)).astype(np.complex64)
        spectrum[..., self.first_tone : self.first_tone + self.columns] = lines * turn
        return np.asarray(fft.irfft(spectrum, n=samples, axis=-1, overwrite_x=True))

    def demultiplex(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Lock-in at every tone at once, by a Fourier transform. samples (..., S) to (..., W)."""
        bins = fft.rfft(samples, axis=-1)[..., self.first_tone : self.first_tone + self.columns]
        turn = (2 / self.samples_per_line * np.exp(-1j * self.phases)).astype(np.complex64)
        return np.asarray((bins * turn).real)

    def digitize(
        self, samples: NDArray[np.float32], detector: Detector, random: np.random.Generator
    ) -> NDArray[np.float32]:
        """Detector signal (..., S) as the converter gives it: with shot and thermal noise, clipped, in steps."""
        count = self.samples_per_line
        shot = count / detector.photoelectrons  # variance of a sample for each unit of light
        thermal = detector.dark**2 * count / 2
        noise = random.standard_normal(samples.shape, dtype=np.float32)
        noise *= np.sqrt(np.maximum(samples, 0) * np.float32(shot) + np.float32(thermal))
        noise += samples
        step = np.float32(detector.full_scale / 2**self.adc_bits)
        pedestal = 2 ** (self.adc_bits - 4)  # the converter's zero lies lower, so that noise around zero is not cut off
        noise /= step
        np.rint(noise, out=noise)
        np.clip(noise, -pedestal, 2**self.adc_bits - 1 - pedestal, out=noise)
        noise *= step
        return noise

    def image(self, light: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.uint16]:
        """Raw counts of cells. light (N, C, H, W), one channel for each detector, to uint16 (N, H, W, C)."""
        counts = np.empty((len(light), *light.shape[2:], light.shape[1]), np.uint16)
        scale, offset = self.digitization.counts_per_unit, self.digitization.offset
        for index, detector in enumerate(self.detectors):
            seen = self.demultiplex(self.digitize(self.multiplex(light[:, index]), detector, random))
            seen -= np.float32(offset)
            seen *= np.float32(scale)
            counts[..., index] = np.clip(np.rint(seen), 0, 65535)
        return counts
