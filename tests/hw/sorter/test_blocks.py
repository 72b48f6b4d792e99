# SPDX-License-Identifier: Apache-2.0
"""One bench a block of the sorter, over the shapes that matter."""

import pytest

from icsort.sim.bit_true.gate import calibrate
from icsort.sim.verilator.bench import RTL, run_bench

SORTER = RTL / "sorter"


def test_arming(seed: int) -> None:
    run_bench("arming", "tests.hw.sorter.bench_arming", [SORTER / "arming.sv"], seed=seed)


@pytest.mark.parametrize(("line_w", "w", "x_offset", "c"), [(8, 8, 0, 3), (12, 7, 3, 2), (3, 1, 2, 1), (1, 1, 0, 1)])
def test_line_input(seed: int, line_w: int, w: int, x_offset: int, c: int) -> None:
    parameters = {"LINE_W": line_w, "W": w, "X_OFFSET": x_offset, "C": c}
    run_bench(
        "line_input", "tests.hw.sorter.bench_line_input", [SORTER / "line_input.sv"], parameters=parameters, seed=seed
    )


@pytest.mark.parametrize("height", [1, 2, 7])
def test_event_trigger(seed: int, height: int) -> None:
    sources = [SORTER / "event_trigger.sv"]
    run_bench("event_trigger", "tests.hw.sorter.bench_event_trigger", sources, parameters={"H": height}, seed=seed)


@pytest.mark.parametrize(("width", "w", "depth"), [(49, 5, 16), (8, 1, 4)])
def test_line_buffer(seed: int, width: int, w: int, depth: int) -> None:
    parameters = {"WIDTH": width, "W": w, "DEPTH": depth}
    run_bench(
        "line_buffer",
        "tests.hw.sorter.bench_line_buffer",
        [SORTER / "line_buffer.sv"],
        parameters=parameters,
        seed=seed,
    )


@pytest.mark.parametrize(
    ("background", "gain", "shift"),
    [(0, 2**17 - 1, 1), (65535, -(2**17), 31), (65535, -(2**17), 1), (300, 900, 12), (40000, -77, 8)],
)
def test_preprocess(seed: int, background: int, gain: int, shift: int) -> None:
    parameters = {"C": 1, "BACKGROUND": background, "GAIN": gain % 2**18, "SHIFT": shift}
    run_bench(
        "preprocess", "tests.hw.sorter.bench_preprocess", [SORTER / "preprocess.sv"], parameters=parameters, seed=seed
    )


@pytest.mark.parametrize(
    ("classes", "bits", "constants"),
    [
        (1, 8, (1, 0)),
        (2, 13, (1, 0)),
        (7, 20, calibrate(0.0031, 1.4)),
        (64, 32, (2**18 - 1, 30)),
    ],
)
def test_gate(seed: int, classes: int, bits: int, constants: tuple[int, int]) -> None:
    sources = [SORTER / "exp2_table.sv", SORTER / "gate.sv"]
    parameters = {"N_CLASSES": classes, "LOGIT_BITS": bits, "POST_MULT": constants[0], "POST_SHIFT": constants[1]}
    run_bench("gate", "tests.hw.sorter.bench_gate", sources, parameters=parameters, seed=seed)


def test_exp2_table(seed: int) -> None:
    run_bench("exp2_table", "tests.hw.sorter.bench_exp2_table", [SORTER / "exp2_table.sv"], seed=seed)


@pytest.mark.parametrize("depth", [4, 64])
def test_sort_scheduler(seed: int, depth: int) -> None:
    sources = [SORTER / "sort_scheduler.sv"]
    run_bench(
        "sort_scheduler", "tests.hw.sorter.bench_sort_scheduler", sources, parameters={"QUEUE_DEPTH": depth}, seed=seed
    )


@pytest.mark.parametrize(("classes", "bits"), [(1, 32), (7, 20)])
def test_event_record(seed: int, classes: int, bits: int) -> None:
    parameters = {"N_CLASSES": classes, "LOGIT_BITS": bits}
    sources = [SORTER / "event_record.sv"]
    run_bench("event_record", "tests.hw.sorter.bench_event_record", sources, parameters=parameters, seed=seed)


@pytest.mark.parametrize(("words", "depth"), [(7, 8), (10, 32)])
def test_record_fifo(seed: int, words: int, depth: int) -> None:
    sources = [SORTER / "record_fifo.sv"]
    run_bench(
        "record_fifo",
        "tests.hw.sorter.bench_record_fifo",
        sources,
        parameters={"WORDS": words, "DEPTH": depth},
        seed=seed,
    )


@pytest.mark.parametrize(("counters", "bits"), [(1, 1), (5, 32)])
def test_counters(seed: int, counters: int, bits: int) -> None:
    parameters = {"COUNTERS": counters, "STEP_BITS": bits}
    run_bench("counters", "tests.hw.sorter.bench_counters", [SORTER / "counters.sv"], parameters=parameters, seed=seed)
