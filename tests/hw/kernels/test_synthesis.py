# SPDX-License-Identifier: Apache-2.0
"""Every kernel through Yosys for the 7 series: it reads, it maps, without a latch, and what is memory is memory."""

import json
from pathlib import Path

import pytest

from icsort.hw.synthesis.yosys import run_script
from icsort.sim.verilator.bench import RTL

IMAGE_W, IMAGE_H, CHANNELS, BITS = 24, 24, 2, 4
PIXEL, WINDOW = CHANNELS * BITS, 3 * 3 * CHANNELS * BITS

CONVOLUTION = f"""
module top (
    input wire clk, input wire rst,
    input wire [{PIXEL - 1}:0] tdata, input wire tvalid, output wire tready,
    output wire [3:0] y, output wire y_valid, input wire y_ready
);
  wire [{WINDOW - 1}:0] window;
  wire [{WINDOW // 3 - 1}:0] part;
  wire [13:0] acc, sum;
  wire [3:0] level, larger;
  wire [7:0] pair;
  wire window_valid, part_valid, acc_valid, sum_valid, level_valid, pair_valid, larger_valid;
  wire window_ready, part_ready, acc_ready, sum_ready, level_ready, pair_ready, larger_ready;

  sliding_window #(.IFM_H({IMAGE_H}), .IFM_W({IMAGE_W}), .CHANNELS({CHANNELS}), .BITS({BITS})) u_window (
      clk, rst, tdata, tvalid, tready, window, window_valid, window_ready);
  width_converter #(.IN_WIDTH({WINDOW}), .OUT_WIDTH({WINDOW // 3})) u_split (
      clk, rst, window, window_valid, window_ready, part, part_valid, part_ready);
  mvau #(.MW(18), .MH(4), .SIMD(6), .PE(1), .ACT_BITS({BITS}), .ACC_BITS(14), .WEIGHTS_FILE("weights.hex"),
         .RAM_STYLE("block")) u_mvau (
      clk, rst, part, part_valid, part_ready, acc, acc_valid, acc_ready);
  fifo #(.WIDTH(14), .DEPTH(257)) u_fifo (
      clk, rst, acc, acc_valid, acc_ready, sum, sum_valid, sum_ready, );
  threshold #(.CHANNELS(4), .PE(1), .IN_BITS(14), .STEPS(15), .OUT_BITS(4),
              .THRESHOLDS_FILE("thresholds.hex"), .RAM_STYLE("block")) u_level (
      clk, rst, sum, sum_valid, sum_ready, level, level_valid, level_ready);
  width_converter #(.IN_WIDTH(4), .OUT_WIDTH(8)) u_join (
      clk, rst, level, level_valid, level_ready, pair, pair_valid, pair_ready);
  max_pool #(.CHANNELS(1), .BITS(4), .WINDOW(2)) u_pool (
      clk, rst, pair, pair_valid, pair_ready, larger, larger_valid, larger_ready);
  max_pool_folded #(.BITS(4), .WINDOW(2)) u_pool_folded (
      clk, rst, larger, larger_valid, larger_ready, y, y_valid, y_ready);
endmodule
"""


RESIDUAL = """
module top (
    input wire clk, input wire rst,
    input wire [7:0] tdata, input wire tvalid, output wire tready,
    output wire [13:0] y, output wire y_valid, input wire y_ready
);
  wire [23:0] copies;
  wire [7:0] padded, taps;
  wire [19:0] acc;
  wire [21:0] sum;
  wire [14:0] total;
  wire [15:0] biased;
  wire [5:0] label;
  wire [2:0] copy_valid, copy_ready;
  wire padded_valid, taps_valid, acc_valid, sum_valid, total_valid, biased_valid, label_valid;
  wire padded_ready, taps_ready, acc_ready, sum_ready, total_ready, biased_ready, label_ready;

  stream_fork #(.WIDTH(8), .OUTPUTS(3)) u_fork (
      clk, rst, tdata, tvalid, tready, copies, copy_valid, copy_ready);
  fmpad #(.IFM_H(12), .IFM_W(12), .CHANNELS(64), .SIMD(2), .BITS(4)) u_pad (
      clk, rst, copies[7:0], copy_valid[0], copy_ready[0], padded, padded_valid, padded_ready);
  sliding_window_folded #(.IFM_H(14), .IFM_W(14), .CHANNELS(64), .SIMD(2), .BITS(4), .DEPTHWISE(1),
                          .RAM_STYLE("block")) u_window (
      clk, rst, padded, padded_valid, padded_ready, taps, taps_valid, taps_ready);
  vvau #(.CHANNELS(64), .KERNEL(9), .SIMD(1), .PE(2), .ACT_BITS(4), .WEIGHT_BITS(4), .ACC_BITS(10),
         .WEIGHTS_FILE("taps.hex"), .RAM_STYLE("distributed")) u_vvau (
      clk, rst, taps, taps_valid, taps_ready, acc, acc_valid, acc_ready);
  stream_add #(.PE(2), .LHS_BITS(10), .LHS_SIGNED(1), .RHS_BITS(4), .OUT_BITS(11)) u_add (
      clk, rst, acc, acc_valid, acc_ready, copies[15:8], copy_valid[1], copy_ready[1],
      sum, sum_valid, sum_ready);
  global_acc_pool #(.CHANNELS(64), .PE(1), .PIXELS(16), .BITS(11), .SIGNED(1), .OUT_BITS(15)) u_pool (
      clk, rst, sum[10:0], sum_valid, sum_ready, total, total_valid, total_ready);
  channel_add #(.CHANNELS(64), .PE(1), .IN_BITS(15), .ADDEND_BITS(8), .OUT_BITS(16), .ADDENDS_FILE("addends.hex"),
                .RAM_STYLE("distributed")) u_bias (
      clk, rst, total, total_valid, total_ready, biased, biased_valid, biased_ready);
  label_select #(.LABELS(64), .PE(1), .BITS(16), .OUT_BITS(6)) u_label (
      clk, rst, biased, biased_valid, biased_ready, label, label_valid, label_ready);
  stream_concat #(.LHS_WIDTH(6), .RHS_WIDTH(8)) u_concat (
      clk, rst, label, label_valid, label_ready, copies[23:16], copy_valid[2], copy_ready[2], y, y_valid, y_ready);
endmodule
"""


@pytest.fixture
def memory_files(tmp_path: Path) -> None:
    (tmp_path / "weights.hex").write_text("".join(f"{0x5A3C71 * (word + 1) % 2**24:06x}\n" for word in range(12)))
    (tmp_path / "taps.hex").write_text("".join(f"{0x37 * (word + 1) % 2**8:02x}\n" for word in range(288)))
    (tmp_path / "addends.hex").write_text("".join(f"{0x35 * word % 2**8:02x}\n" for word in range(64)))
    (tmp_path / "thresholds.hex").write_text("".join(f"{fold * 0x1111:053x}\n" for fold in range(4)))


def synthesize(top: str, folder: Path) -> dict[str, dict[str, int]]:
    """Cells by type of each kernel that `top` instantiates, mapped to the 7 series.

    A module inside a kernel is named by its place: u_mvau.u_dot_product.u_rom.
    """
    (folder / "top.sv").write_text(top)
    kernels = sorted((RTL / "kernels").glob("*.sv"))
    script = f"""
    read_slang --keep-hierarchy --top top top.sv {" ".join(map(str, kernels))}
    synth_xilinx -family xc7 -top top -noiopad -noclkbuf
    check -assert
    tee -q -o stat.json stat -json
    """
    run_script(script, folder, timeout=500)
    modules = json.loads((folder / "stat.json").read_text())["modules"]
    cells = {}
    for name, module in modules.items():
        kernel, _, place = name.lstrip("\\").partition("$top.")
        if place:
            cells[place if "." in place else kernel] = module["num_cells_by_type"]
    for counts in cells.values():
        assert not any(cell.startswith(("LD", "$")) for cell in counts), counts
    return cells


def registers(counts: dict[str, int]) -> int:
    return sum(number for cell, number in counts.items() if cell.startswith("FD"))


def has_memory(counts: dict[str, int]) -> bool:
    return any(cell.startswith("RAM") for cell in counts)


@pytest.mark.usefixtures("memory_files")
def test_convolution(tmp_path: Path) -> None:
    cells = synthesize(CONVOLUTION, tmp_path)
    kernels = "sliding_window width_converter mvau fifo threshold max_pool max_pool_folded"
    inside = "u_mvau.u_dot_product u_mvau.u_dot_product.u_rom u_level.u_rom"
    assert set(cells) == set(kernels.split()) | set(inside.split())
    # The window, one column read ahead, two counters and two countdowns; the lines are in memory.
    assert registers(cells["sliding_window"]) <= WINDOW + 2 * PIXEL + 20
    assert has_memory(cells["sliding_window"])
    # Twelve words would be LUTs if it were left to the tool.
    assert cells["u_mvau.u_dot_product.u_rom"].get("RAMB18E1", 0) == 1
    assert any(cell.startswith("RAMB") for cell in cells["u_level.u_rom"])
    # More than 256 beats: a block whose output register is the read ahead, the beat on its way, two addresses, count.
    assert cells["fifo"].get("RAMB18E1", 0) == 1
    assert registers(cells["fifo"]) == 14 + 1 + 2 * 9 + 9
    assert registers(cells["max_pool_folded"]) == 4 + 1 + 1


@pytest.mark.usefixtures("memory_files")
def test_residual(tmp_path: Path) -> None:
    cells = synthesize(RESIDUAL, tmp_path)
    kernels = "stream_fork fmpad sliding_window_folded vvau stream_add global_acc_pool channel_add label_select "
    kernels += "stream_concat"
    inside = "u_vvau.u_dot_product u_vvau.u_dot_product.u_rom u_bias.u_rom u_bias.u_add"
    assert set(cells) == set(kernels.split()) | set(inside.split())
    assert registers(cells["channel_add"]) == 6  # the count of beats
    assert registers(cells["u_bias.u_add"]) == 16 + 1  # the sum, its valid bit
    assert registers(cells["label_select"]) == 16 + 6 + 6 + 1  # best so far, its number, count of beats, valid
    # One beat, its valid bit and two counters (a row has 448 beats, the frame 14 rows): no image.
    assert registers(cells["fmpad"]) <= 8 + 1 + 9 + 4
    assert not has_memory(cells["fmpad"])
    # Four lines of 448 bytes in one block, its read register included; what is left are counters and addresses.
    assert cells["sliding_window_folded"].get("RAMB18E1", 0) == 1
    assert registers(cells["sliding_window_folded"]) <= 96
    # 288 words would be a block if it were left to the tool.
    assert not has_memory(cells["u_vvau.u_dot_product.u_rom"])
    assert registers(cells["stream_fork"]) == 8 + 3
    assert registers(cells["stream_add"]) == 2 * 11 + 1
    assert registers(cells["stream_concat"]) == 6 + 8 + 1
    # One sum read ahead, one on offer, two counters; the 64 sums are in memory.
    assert registers(cells["global_acc_pool"]) <= 2 * 15 + 1 + 6 + 4
    assert has_memory(cells["global_acc_pool"])
