# SPDX-License-Identifier: Apache-2.0
"""What a training makes of windows: moved and brightened pixels, and lines that are not the event's."""

import torch

from icsort.quant.training.samples import Samples


def test_lines_that_are_not_of_the_event_stay_zero(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.randint(1, 256, (2, 40, 3, 12, 10), generator=draw, dtype=torch.uint8)
    pixels[..., :2, :] = 0
    pixels[:, :20, :, 7:] = 0
    samples = Samples(pixels, torch.zeros(40, dtype=torch.int64), 0, torch.tensor([120.0, 4.0, 0.0]))
    batch = samples.batch(torch.arange(40), shift=3, jitter=0.3, draw=draw)
    assert not batch[:, :, :2].any()
    assert not batch[:20, :, 7:].any()
    # A gain of two, three deviations of it, makes nothing of what lies below 120 - 120 / 2 = 60 of 255.
    assert (batch[:, 0, 2:7] > 0).float().mean() > 0.85
    moved = samples.batch(torch.arange(40), shift=3, jitter=0.0, draw=draw)
    assert set(moved[20:, 0, 8].unique().tolist()) <= set(range(256))
    assert ((moved[:, 0, 2:7] == 120).any(dim=(1, 2))).float().mean() > 0.5  # background comes in from the side
