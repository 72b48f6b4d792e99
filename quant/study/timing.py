# SPDX-License-Identifier: Apache-2.0
"""How long a network takes for one cell on this computer, measured as the image-enabled-cell-sorting study did."""

import platform
import time
from typing import Any

import numpy as np
import torch
from torch import nn

WARM_UP = 100  # inputs that are not counted: caches fill, kernels are chosen


def inference_time(
    network: nn.Module, shape: tuple[int, int, int], count: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """Time of `count` random inputs (C, H, W), one by one, behind a warm-up: mean and standard deviation in ms.

    The network is timed on the device where it is; the clock waits for a GPU to finish each input.
    """
    device = next(network.parameters()).device
    draw = torch.Generator().manual_seed(seed)
    seconds = np.empty(count)
    network.eval()
    with torch.inference_mode():
        for index in range(-WARM_UP, count):
            pixels = torch.randint(256, (1, *shape), generator=draw).float().to(device)
            _wait(device)
            began = time.perf_counter()
            network(pixels)
            _wait(device)
            if index >= 0:
                seconds[index] = time.perf_counter() - began
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {_processor()}",
        "threads": torch.get_num_threads(),
        "inputs": count,
        "mean_ms": float(seconds.mean() * 1e3),
        "deviation_ms": float(seconds.std() * 1e3),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _processor() -> str:
    return platform.processor() or platform.machine()
