# SPDX-License-Identifier: Apache-2.0
"""What is proven of the sorter's blocks, for all inputs and all times unless a proof is said to be bounded."""

from pathlib import Path

import pytest

from tests.formal.prove import prove, sorter


def test_fault_register() -> None:
    prove("fault_register_properties", sorter("fault_register"), 2)


def test_arming() -> None:
    prove("arming_properties", sorter("arming"), 3)


def test_sort_output() -> None:
    prove("sort_output_properties", sorter("sort_output"), 3)


def test_schedule_settings() -> None:
    prove("schedule_settings_properties", sorter("schedule_settings"), 5)


def test_fifo() -> None:
    prove("fifo_properties", sorter("fifo"), 12, bounded=True)


def test_record_fifo() -> None:
    prove("record_fifo_properties", sorter("record_fifo"), 12, bounded=True)


def test_frame_arbiter() -> None:
    prove("frame_arbiter_properties", sorter("frame_arbiter"), 3)


def test_record_batches() -> None:
    prove("record_batches_properties", sorter("record_batches"), 3)


def test_reset_synchronizer() -> None:
    prove("reset_synchronizer_properties", sorter("reset_synchronizer"), 4, multiclock=True)


PULSE = ("pulse_synchronizer", "synchronizer", "reset_synchronizer")
ASYNC_FIFO = ("async_fifo", "reset_synchronizer")


def test_pulse_synchronizer() -> None:
    prove("pulse_synchronizer_properties", sorter(*PULSE), 4, multiclock=True)


@pytest.mark.parametrize("depth", [4, 8])
def test_async_fifo(depth: int) -> None:
    prove("async_fifo_properties", sorter(*ASYNC_FIFO), 4, parameters={"DEPTH": depth}, multiclock=True)


CROSSINGS = [  # block and those in it, what stands in it, what stands there instead, steps
    (("reset_synchronizer",), "!ready_q[CYCLES-1];", "!ready_q[CYCLES-2];", 4),
    (PULSE, "s_ready = sent_q == seen && !s_rst;", "s_ready = !s_rst;", 24),
    (PULSE, "(posedge s_clk or posedge s_rst)", "(posedge s_clk)", 24),
    (ASYNC_FIFO, "return binary ^ binary >> 1;", "return binary;", 20),
    (ASYNC_FIFO, "write_gray_q <= gray(next_write);", "write_gray_q <= gray(next_write + 1'b1);", 20),
    (ASYNC_FIFO, "(pointer_t'(3) << (AddrBits - 1))", "(pointer_t'(1) << AddrBits)", 24),
    (ASYNC_FIFO, "pop || (m_axis_tvalid && !m_axis_tready);", "pop || m_axis_tvalid;", 24),
]


@pytest.mark.parametrize(("blocks", "right", "wrong", "steps"), CROSSINGS)
def test_no_proof_of_a_crossing_that_is_wrong(
    tmp_path: Path, blocks: tuple[str, ...], right: str, wrong: str, steps: int
) -> None:
    package, block, *others = sorter(*blocks)
    text = block.read_text()
    assert text.count(right) == 1
    (tmp_path / block.name).write_text(text.replace(right, wrong))
    sources = [package, tmp_path / block.name, *others]
    with pytest.raises(AssertionError, match="not proven"):
        prove(f"{blocks[0]}_properties", sources, steps, bounded=blocks[0] != "reset_synchronizer", multiclock=True)


@pytest.mark.full
def test_cobs() -> None:
    prove("cobs_properties", sorter("cobs_encoder", "cobs_decoder"), 16, bounded=True)


SCHEDULER = ("sort_scheduler", "sort_output", "sort_queues", "fifo")


@pytest.mark.full
def test_each_sort_has_one_end() -> None:
    """In the first cycles: too few for an event to be decided as SORTED behind reset."""
    prove("sort_scheduler_properties", sorter(*SCHEDULER), 10, bounded=True)


def test_nothing_is_sorted_while_disarmed() -> None:
    """Decided as SORTED, loaded into an output, fired: at any time, provided that no queue runs over."""
    prove("sort_scheduler_properties", sorter(*SCHEDULER), 2, parameters={"ACCOUNTS": 0}, given=True)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("if (disarmed_q || !enabled) outcome", "if (disarmed_q) outcome"),
        ("in_time_q && !disarmed_q && enabled;", "in_time_q && !disarmed_q;"),
        (".enabled,", ".enabled (1'b1),"),  # of the outputs
    ],
)
def test_no_proof_of_a_scheduler_that_sorts_while_disarmed(tmp_path: Path, right: str, wrong: str) -> None:
    package, scheduler, *others = sorter(*SCHEDULER)
    text = scheduler.read_text()
    assert text.count(right) == 1
    (tmp_path / scheduler.name).write_text(text.replace(right, wrong))
    sources = [package, tmp_path / scheduler.name, *others]
    with pytest.raises(AssertionError, match="not proven"):
        prove("sort_scheduler_properties", sources, 2, parameters={"ACCOUNTS": 0}, given=True)


MUTANTS = [  # block, what stands in it, what stands there instead, cycles of the proof, whether it is bounded
    ("arming", "(disarm || faulty || silent_q)", "(faulty || silent_q)", 3, False),
    ("arming", "(arm && gate_valid && !testing)", "(arm && !testing)", 3, False),
    ("fault_register", "(faults & ~clear) | cause", "(faults | cause) & ~clear", 2, False),
    ("event_join", "!own_ended || !own_result || result_failed", "!own_ended || result_failed", 2, False),
    ("axil_registers", "s_axil_rvalid <= !reg_we;", "s_axil_rvalid <= 1'b1;", 4, False),
    ("network_pairing", "s_logits_tvalid && open && allowed));", "s_logits_tvalid && open));", 12, True),
    ("sort_output", "tick && at_begin && enabled;", "tick && at_begin;", 3, False),
    ("schedule_settings", ": {Shadow, reg_index};", ": {InForce, reg_index};", 5, False),
    ("fifo", "s_axis_tready = count_q != CountBits'(DEPTH);", "s_axis_tready = 1'b1;", 12, True),
    ("record_fifo", "if (spill) write_q <= commit_q;", "if (spill) write_q <= write_q;", 12, True),
    ("frame_arbiter", "!(m_axis_tready && m_axis_tlast)", "!m_axis_tready", 3, False),
    (
        "record_batches",
        "s_axis_tready = state_q == Record && m_axis_tready;",
        "s_axis_tready = m_axis_tready;",
        3,
        False,
    ),
    ("record_batches", "last_q <= full || old;", "last_q <= old;", 3, False),
    ("cobs_encoder", "after_block = zero_q ? EmptyBlock : Close;", "after_block = Close;", 12, True),
    ("cobs_encoder", "free    = !m_axis_tvalid || m_axis_tready;", "free    = 1'b1;", 12, True),
    ("cobs_decoder", "m_valid <= open_q && zero_q;", "m_valid <= zero_q;", 12, True),
]
WITH = {"network_pairing": ("fifo",), "cobs_encoder": ("cobs_decoder",), "cobs_decoder": ("cobs_encoder",)}
PROPERTIES = {"cobs_encoder": "cobs", "cobs_decoder": "cobs"}  # of a block that is proven with another one


@pytest.mark.parametrize(("block", "right", "wrong", "depth", "bounded"), MUTANTS)
def test_no_proof_of_what_is_wrong(
    tmp_path: Path, block: str, right: str, wrong: str, depth: int, bounded: bool
) -> None:
    """A proof that nothing can break proves nothing: each block with one thing wrong has none."""
    package, source, *others = sorter(block, *WITH.get(block, ()))
    text = source.read_text()
    assert text.count(right) == 1
    mutant = tmp_path / source.name
    mutant.write_text(text.replace(right, wrong))
    with pytest.raises(AssertionError, match="not proven"):
        prove(f"{PROPERTIES.get(block, block)}_properties", [package, mutant, *others], depth, bounded=bounded)
