# SPDX-License-Identifier: Apache-2.0
"""Images a second of a build's network on one core: `python -m tests.icsort.formats.integer_benchmark BUILD`.

The compiled netlist, as `icsort evaluate BUILD` runs it, and ONNX Runtime, as `icsort evaluate PACKAGE` does; every
logit of both is compared, and the first images' with FINN's execution. Processor time, of images of noise as dim as
background and as bright as the range allows.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from icsort.formats.build import load_build
from icsort.formats.integer import IntegerNetwork
from icsort.formats.package import MANIFEST_FILE, MODEL_FILE
from icsort.hw.reference import finn_logits

IMAGES, PROVEN, LEAST_SECONDS = 256, 2, 2.0


def measure(network: IntegerNetwork, images: np.ndarray) -> tuple[np.ndarray, float]:
    """Logits of the images, and how many of them a second of the processor does, once warm."""
    logits, rounds = network.logits(images), 0
    began = time.process_time()
    while (seconds := time.process_time() - began) < LEAST_SECONDS:
        network.logits(images)
        rounds += 1
    return logits, rounds * len(images) / seconds


def main(folder: Path) -> int:
    """Prints both; 1 where a logit differs."""
    build = load_build(folder)
    shape = build.manifest.input
    rng = np.random.default_rng(1)
    images = rng.integers(
        0, rng.integers(32, 256, (IMAGES, 1, 1, 1)), (IMAGES, shape.height, shape.width, shape.channels)
    )
    images = images.astype(np.uint8)
    began = time.monotonic()
    compiled = IntegerNetwork(folder)
    opened = time.monotonic() - began
    logits, speed = measure(compiled, images)
    with tempfile.TemporaryDirectory() as package:
        for name in (MODEL_FILE, MANIFEST_FILE):
            shutil.copyfile(folder / name, Path(package) / name)
        by_onnx, onnx_speed = measure(IntegerNetwork(Path(package)), images)
    by_finn = finn_logits(build, images[:PROVEN])
    print(f"{build.name}: {shape.channels} x {shape.height} x {shape.width}, {len(build.manifest.classes)} classes")
    print(f"compiled netlist: {speed:,.0f} images/s (opened in {opened:.1f} s)")
    print(f"ONNX Runtime: {onnx_speed:,.0f} images/s")
    print(f"logits equal to ONNX Runtime's: {(logits == by_onnx).sum()} of {logits.size}")
    print(f"logits equal to FINN's execution: {(logits[:PROVEN] == by_finn).sum()} of {by_finn.size}")
    return int((logits != by_onnx).any() or (logits[:PROVEN] != by_finn).any())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
