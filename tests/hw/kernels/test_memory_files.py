# SPDX-License-Identifier: Apache-2.0
"""A memory file that is not there ends the simulation; one flipped bit in one that is there changes what comes out."""

import re
from pathlib import Path

import pytest

from tests.hw.kernels.stream_case import StreamCase, check, memory_file

FAILED = (AssertionError, RuntimeError, SystemExit)  # what a failed bench raises, the last two from cocotb's runner


@pytest.mark.parametrize(
    ("kernel", "parameter"), [("mvau", "WEIGHTS_FILE"), ("vvau", "WEIGHTS_FILE"), ("threshold", "THRESHOLDS_FILE")]
)
def test_missing_file(
    kernel: str, parameter: str, tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FAILED):
        check(kernel, {parameter: "no-such-file.hex"}, StreamCase([0], [0], [0], [0]), tmp_path, seed)
    assert re.search(rf"{kernel}\S*: cannot read no-such-file.hex", capfd.readouterr().out)


# y = W x for W = [[1, 2], [3, 4]] and x = (1, 1); the same as two kernels of two taps.
# For the thresholds, y = number of thresholds 10, 20, 30 that 20 reaches.
WEIGHTS, THRESHOLDS = 0x4321, 0x1E140A
ONE_WORD = {
    "mvau": {"MW": 2, "MH": 2, "SIMD": 2, "PE": 2, "ACT_BITS": 4, "WEIGHT_BITS": 4, "ACC_BITS": 8},
    "vvau": {"CHANNELS": 2, "KERNEL": 2, "SIMD": 2, "PE": 2, "ACT_BITS": 4, "WEIGHT_BITS": 4, "ACC_BITS": 8},
    "threshold": {"CHANNELS": 1, "PE": 1, "IN_BITS": 8, "STEPS": 3, "OUT_BITS": 2},
}


@pytest.mark.parametrize(
    ("kernel", "parameter", "word", "flip", "case"),
    [
        ("mvau", "WEIGHTS_FILE", WEIGHTS, 1 << 12, StreamCase([0x11], [0x0703], [0], [3])),
        ("vvau", "WEIGHTS_FILE", WEIGHTS, 1 << 12, StreamCase([0x1111], [0x0703], [0], [3])),
        ("threshold", "THRESHOLDS_FILE", THRESHOLDS, 1 << 8, StreamCase([20], [2], [0], [2])),
    ],
)
def test_flipped_bit(
    kernel: str,
    parameter: str,
    word: int,
    flip: int,
    case: StreamCase,
    tmp_path: Path,
    seed: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def run(content: int) -> None:
        check(kernel, ONE_WORD[kernel] | {parameter: memory_file(f"{content:x}\n")}, case, tmp_path, seed)

    run(word)
    with pytest.raises(FAILED):
        run(word ^ flip)
    assert "PASS=0 FAIL=5" in capfd.readouterr().out
