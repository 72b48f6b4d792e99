# SPDX-License-Identifier: Apache-2.0
"""One bench a block of the sorter, over the shapes that matter."""

from pathlib import Path

import pytest

from icsort.sim.bit_true.gate import calibrate
from icsort.sim.verilator.bench import RTL, run_bench

SORTER = RTL / "sorter"
BENCHES = Path(__file__).parent / "rtl"


def test_arming(seed: int) -> None:
    run_bench("arming", "tests.hw.sorter.bench_arming", [SORTER / "arming.sv"], seed=seed)


def test_fault_register(seed: int) -> None:
    run_bench("fault_register", "tests.hw.sorter.bench_fault_register", [SORTER / "fault_register.sv"], seed=seed)


@pytest.mark.parametrize(("line_w", "c", "bits", "p"), [(8, 3, 16, 1), (13, 2, 10, 4), (3, 1, 8, 3), (1, 1, 16, 1)])
@pytest.mark.quick(2)
def test_line_input(seed: int, line_w: int, c: int, bits: int, p: int) -> None:
    parameters = {"LINE_W": line_w, "C": c, "SAMPLE_BITS": bits, "P": p}
    run_bench(
        "line_input", "tests.hw.sorter.bench_line_input", [SORTER / "line_input.sv"], parameters=parameters, seed=seed
    )


@pytest.mark.parametrize(("line_w", "c", "bits", "p"), [(8, 3, 16, 1), (13, 2, 10, 4), (5, 1, 8, 5)])
@pytest.mark.quick(2)
def test_flat_field(seed: int, line_w: int, c: int, bits: int, p: int) -> None:
    parameters = {"LINE_W": line_w, "C": c, "SAMPLE_BITS": bits, "P": p}
    run_bench(
        "flat_field", "tests.hw.sorter.bench_flat_field", [SORTER / "flat_field.sv"], parameters=parameters, seed=seed
    )


@pytest.mark.parametrize(("line_w", "c", "p", "depth"), [(6, 2, 1, 8), (13, 3, 4, 16), (5, 8, 5, 4)])
@pytest.mark.quick(2)
def test_channel_delay(seed: int, line_w: int, c: int, p: int, depth: int) -> None:
    sources = [SORTER / "channel_delay.sv"]
    parameters = {"LINE_W": line_w, "C": c, "SAMPLE_BITS": 12, "P": p, "DEPTH": depth}
    run_bench("channel_delay", "tests.hw.sorter.bench_channel_delay", sources, parameters=parameters, seed=seed)


@pytest.mark.parametrize(("line_w", "c", "p", "lines"), [(6, 2, 1, 8), (13, 3, 4, 4), (5, 1, 5, 16), (37, 1, 1, 128)])
@pytest.mark.quick(3)
def test_line_store(seed: int, line_w: int, c: int, p: int, lines: int) -> None:
    parameters = {"LINE_W": line_w, "C": c, "SAMPLE_BITS": 12, "P": p, "LINES": lines, "INDEX_BITS": 9}
    run_bench(
        "line_store", "tests.hw.sorter.bench_line_store", [SORTER / "line_store.sv"], parameters=parameters, seed=seed
    )


@pytest.mark.parametrize(
    ("line_w", "h", "w", "c", "p", "m", "lines"),
    [(9, 5, 6, 2, 1, 1, 16), (13, 10, 8, 1, 4, 2, 32), (7, 3, 5, 1, 7, 5, 32)],
)
@pytest.mark.quick(2)
def test_window_reader(seed: int, line_w: int, h: int, w: int, c: int, p: int, m: int, lines: int) -> None:
    run_bench(
        "window_reader",
        "tests.hw.sorter.bench_window_reader",
        [SORTER / "window_reader.sv", RTL / "kernels" / "fifo.sv"],
        parameters={
            "LINE_W": line_w,
            "H": h,
            "W": w,
            "C": c,
            "SAMPLE_BITS": 12,
            "P": p,
            "M": m,
            "LINES": lines,
            "EVENTS": 4,
            "INDEX_BITS": 9,
            "SUM_BITS": 20,
            "MOMENT_BITS": 26,
        },
        seed=seed,
    )


@pytest.mark.parametrize("events", [16, 4])
@pytest.mark.quick(1)
def test_event_members(seed: int, events: int) -> None:
    sources = [SORTER / "event_members.sv", RTL / "kernels" / "fifo.sv"]
    run_bench("event_members", "tests.hw.sorter.bench_event_members", sources, parameters={"EVENTS": events}, seed=seed)


@pytest.mark.parametrize(("line_w", "c", "bits", "p"), [(6, 2, 12, 1), (13, 3, 16, 4), (5, 1, 8, 5)])
@pytest.mark.quick(2)
def test_line_source(seed: int, line_w: int, c: int, bits: int, p: int) -> None:
    parameters = {"LINE_W": line_w, "C": c, "SAMPLE_BITS": bits, "P": p, "LINES": 8}
    run_bench(
        "line_source",
        "tests.hw.sorter.bench_line_source",
        [SORTER / "line_source.sv"],
        parameters=parameters,
        seed=seed,
    )


@pytest.mark.parametrize(("line_w", "c", "bits", "p"), [(9, 1, 16, 1), (13, 3, 12, 4), (19, 8, 8, 19)])
@pytest.mark.quick(2)
def test_line_sums(seed: int, line_w: int, c: int, bits: int, p: int) -> None:
    sources = [SORTER / "adder_tree.sv", SORTER / "line_sums.sv"]
    parameters = {"LINE_W": line_w, "C": c, "SAMPLE_BITS": bits, "P": p}
    run_bench("line_sums", "tests.hw.sorter.bench_line_sums", sources, parameters=parameters, seed=seed)


def test_event_trigger(seed: int) -> None:
    sources = [SORTER / "event_trigger.sv"]
    run_bench("event_trigger", "tests.hw.sorter.bench_event_trigger", sources, seed=seed)


@pytest.mark.parametrize(("c", "bits", "m"), [(1, 16, 1), (3, 10, 2)])
def test_preprocess(seed: int, c: int, bits: int, m: int) -> None:
    sources, parameters = [SORTER / "preprocess.sv"], {"C": c, "SAMPLE_BITS": bits, "M": m}
    run_bench("preprocess", "tests.hw.sorter.bench_preprocess", sources, parameters=parameters, seed=seed)


GATE_SOURCES = [
    SORTER / f"{name}.sv"
    for name in ("exp2_table", "posterior", "gate_memory", "gate_scale", "gate_shape", "gate_engine")
]
GATE_ENGINES = [
    ((7, 20, 33), {}, calibrate(0.0031, 1.4)),
    ((1, 8, 0), {"TESTS": 5, "GATES": 3, "SCALES": 2, "CORNERS": 6}, (1, 0)),
    ((64, 32, 176), {"TESTS": 8, "SCALES": 3}, (2**18 - 1, 30)),
]


def run_gate_engine(
    seed: int, shape: tuple[int, int, int], sizes: dict[str, int], constants: tuple[int, int], events: int
) -> None:
    names = ("N_CLASSES", "LOGIT_BITS", "FEATURES")
    run_bench(
        "gate_engine_bench",
        "tests.hw.sorter.bench_gate_engine",
        [*GATE_SOURCES, Path(__file__).parent / "rtl" / "gate_engine_bench.sv"],
        parameters=dict(zip(names, shape, strict=True)) | sizes,
        seed=seed,
        environment={
            "ICSORT_GATE_EVENTS": str(events),
            "ICSORT_MULTIPLIER": str(constants[0]),
            "ICSORT_SHIFT": str(constants[1]),
        },
    )


@pytest.mark.parametrize(("shape", "sizes", "constants"), GATE_ENGINES)
@pytest.mark.quick(2)
def test_gate_engine(seed: int, shape: tuple[int, int, int], sizes: dict[str, int], constants: tuple[int, int]) -> None:
    run_gate_engine(seed, shape, sizes, constants, 2000)


@pytest.mark.full
def test_gate_engine_at_length(seed: int) -> None:
    """100,000 events of 12 gate sets, each written while events of the one before are decided."""
    run_gate_engine(seed, *GATE_ENGINES[0], 100_000)


@pytest.mark.parametrize("events", [16, 3])
@pytest.mark.quick(1)
def test_posterior_settings(seed: int, events: int) -> None:
    sources = [SORTER / "posterior_settings.sv"]
    run_bench(
        "posterior_settings",
        "tests.hw.sorter.bench_posterior_settings",
        sources,
        parameters={"EVENTS": events},
        seed=seed,
    )


def test_exp2_table(seed: int) -> None:
    run_bench("exp2_table", "tests.hw.sorter.bench_exp2_table", [SORTER / "exp2_table.sv"], seed=seed)


def test_scheduler(seed: int) -> None:
    sources = [SORTER / "icsort_pkg.sv", *sorted((SORTER / "scheduler").glob("*.sv")), RTL / "kernels" / "fifo.sv"]
    run_bench("scheduler", "tests.hw.sorter.bench_scheduler", sources, seed=seed)


@pytest.mark.parametrize(("classes", "bits", "features"), [(1, 32, 0), (7, 20, 5)])
def test_event_record(seed: int, classes: int, bits: int, features: int) -> None:
    parameters = {"N_CLASSES": classes, "LOGIT_BITS": bits, "FEATURES": features}
    sources = [SORTER / "icsort_pkg.sv", SORTER / "event_record.sv"]
    run_bench("event_record", "tests.hw.sorter.bench_event_record", sources, parameters=parameters, seed=seed)


def test_axil_registers(seed: int) -> None:
    run_bench("axil_registers", "tests.hw.sorter.bench_axil_registers", [SORTER / "axil_registers.sv"], seed=seed)


def test_event_join(seed: int) -> None:
    sources = [SORTER / "icsort_pkg.sv", SORTER / "event_join.sv", BENCHES / "event_join_bench.sv"]
    run_bench("event_join_bench", "tests.hw.sorter.bench_event_join", sources, seed=seed)


@pytest.mark.parametrize(("beats", "windows", "least"), [(1, 2, 4), (12, 16, 2), (12, 16, 0)])
@pytest.mark.quick(2)
def test_network_pairing(seed: int, beats: int, windows: int, least: int) -> None:
    run_bench(
        "network_pairing",
        "tests.hw.sorter.bench_network_pairing",
        [SORTER / "icsort_pkg.sv", RTL / "kernels" / "fifo.sv", SORTER / "network_pairing.sv"],
        parameters={"BEATS": beats, "WINDOWS": windows, "IN_BITS": 8, "LOGITS_BITS": 16, "LEAST": least},
        seed=seed,
    )


@pytest.mark.parametrize("depth", [8, 32])
@pytest.mark.quick(1)
def test_record_fifo(seed: int, depth: int) -> None:
    sources = [SORTER / "icsort_pkg.sv", SORTER / "record_fifo.sv"]
    run_bench(
        "record_fifo",
        "tests.hw.sorter.bench_record_fifo",
        sources,
        parameters={"DEPTH": depth},
        seed=seed,
    )


@pytest.mark.parametrize(("words", "period"), [(40, 100), (15, 31)])
@pytest.mark.quick(1)
def test_record_batches(seed: int, words: int, period: int) -> None:
    run_bench(
        "record_batches",
        "tests.hw.sorter.bench_record_batches",
        [SORTER / "record_batches.sv"],
        parameters={"WORDS": words, "PERIOD": period},
        seed=seed,
    )


@pytest.mark.parametrize("sources", [2, 3])
def test_frame_arbiter(seed: int, sources: int) -> None:
    run_bench(
        "frame_arbiter",
        "tests.hw.sorter.bench_frame_arbiter",
        [SORTER / "frame_arbiter.sv"],
        parameters={"SOURCES": sources},
        seed=seed,
    )


@pytest.mark.parametrize("counters", [1, 34])
def test_statistics(seed: int, counters: int) -> None:
    run_bench(
        "statistics",
        "tests.hw.sorter.bench_statistics",
        [SORTER / "icsort_pkg.sv", SORTER / "statistics.sv"],
        parameters={"COUNTERS": counters},
        seed=seed,
    )


@pytest.mark.parametrize(("beats", "size", "piece"), [(48, 2, 16), (9, 7, 5), (8, 1, 64)])
@pytest.mark.quick(2)
def test_image_snapshot(seed: int, beats: int, size: int, piece: int) -> None:
    run_bench(
        "image_snapshot",
        "tests.hw.sorter.bench_image_snapshot",
        [SORTER / "icsort_pkg.sv", SORTER / "image_snapshot.sv"],
        parameters={"BEATS": beats, "BEAT_BYTES": size, "PIECE_WORDS": piece},
        seed=seed,
    )


@pytest.mark.parametrize(("counters", "bits"), [(1, 1), (5, 32)])
def test_counters(seed: int, counters: int, bits: int) -> None:
    parameters = {"COUNTERS": counters, "STEP_BITS": bits}
    run_bench("counters", "tests.hw.sorter.bench_counters", [SORTER / "counters.sv"], parameters=parameters, seed=seed)


FRONT = [
    "line_input",
    "flat_field",
    "channel_delay",
    "adder_tree",
    "line_sums",
    "event_trigger",
    "event_members",
    "line_store",
    "window_reader",
    "preprocess",
]


@pytest.mark.parametrize(
    ("line_w", "h", "w", "c", "bits", "p", "net"),
    [(12, 6, 8, 2, 16, 1, 1), (13, 5, 8, 3, 12, 4, 8), (7, 6, 6, 1, 8, 7, 2), (16, 8, 6, 2, 10, 2, 3)],
)
@pytest.mark.quick(2)
def test_front(seed: int, line_w: int, h: int, w: int, c: int, bits: int, p: int, net: int) -> None:
    sources = [RTL / "kernels" / "fifo.sv", RTL / "kernels" / "width_converter.sv"]
    sources += [SORTER / f"{name}.sv" for name in [*FRONT, "front"]]
    parameters = {
        "LINE_W": line_w, "H": h, "W": w, "C": c, "SAMPLE_BITS": bits, "P": p, "NET_PIXELS": net, "EVENTS": 4,
        "LINES": 64, "DELAY_LINES": 8,
    }  # fmt: skip
    run_bench("front", "tests.hw.sorter.bench_front", sources, parameters=parameters, seed=seed)


@pytest.mark.parametrize(
    ("line_w", "c", "bits", "p", "lines", "banks"),
    [(13, 3, 16, 2, 16, 4), (7, 1, 8, 1, 32, 8), (70, 8, 16, 7, 16, 4)],
)
@pytest.mark.quick(2)
def test_features(seed: int, line_w: int, c: int, bits: int, p: int, lines: int, banks: int) -> None:
    names = ("feature_tables_pkg", "adder_tree", "feature_lines", "feature_events", "feature_log2", "feature_exp2")
    sources = [SORTER / f"{name}.sv" for name in (*names, "feature_values", "features")]
    sources.append(RTL / "kernels" / "fifo.sv")
    parameters = {"LINE_W": line_w, "C": c, "SAMPLE_BITS": bits, "P": p, "LINES": lines, "BANKS": banks}
    run_bench("features", "tests.hw.sorter.bench_features", sources, parameters=parameters, seed=seed)


@pytest.mark.parametrize(("features", "events"), [(33, 16), (9, 3), (128, 4)])
@pytest.mark.quick(2)
def test_feature_store(seed: int, features: int, events: int) -> None:
    sources = [RTL / "kernels" / "fifo.sv", SORTER / "gate_memory.sv", SORTER / "feature_store.sv"]
    parameters = {"FEATURES": features, "EVENTS": events}
    run_bench("feature_store", "tests.hw.sorter.bench_feature_store", sources, parameters=parameters, seed=seed)


@pytest.mark.parametrize(("bits", "signed"), [(78, 1), (39, 0)])
def test_feature_log2(seed: int, bits: int, signed: int) -> None:
    sources = [SORTER / "feature_tables_pkg.sv", SORTER / "feature_log2.sv"]
    parameters = {"BITS": bits, "SIGNED": signed}
    run_bench("feature_log2", "tests.hw.sorter.bench_feature_log2", sources, parameters=parameters, seed=seed)


def test_feature_exp2(seed: int) -> None:
    sources = [SORTER / "feature_tables_pkg.sv", SORTER / "feature_exp2.sv"]
    run_bench("feature_exp2", "tests.hw.sorter.bench_feature_exp2", sources, seed=seed)
