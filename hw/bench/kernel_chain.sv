// SPDX-License-Identifier: Apache-2.0
//
// kernel_chain: every kernel once, as a small network: a 3 x 3 convolution beside a shortcut, an identity, a max pool, a depthwise
// convolution, sums over the image, the largest of three. An example of how they are put together, linted and simulated by itself.
//
//   Input       images of 6 x 8 pixels, 2 channels of 4 bits, a pixel a beat, channel 0 at the LSB.
//   Output      the number of the largest of 3 scores, a beat an image. scores: each score as it passes, score_passes with it.
//   Files       weights.hex, thresholds.hex, taps.hex, addends.hex, in the folder that the tool runs in.
`default_nettype none

module kernel_chain (
    input  wire logic         clk,
    input  wire logic         rst,

    input  wire logic [7:0]   s_axis_tdata,
    input  wire logic         s_axis_tvalid,
    output logic              s_axis_tready,

    output logic [1:0]        m_axis_tdata,
    output logic              m_axis_tvalid,
    input  wire logic         m_axis_tready,

    output logic [14:0]       score,
    output logic              score_passes
);
  // A stream each: data, valid, ready.
  logic [15:0] copies;
  logic [1:0]  copies_valid, copies_ready;
  logic [7:0]  padded, shortcut;
  logic [71:0] window;
  logic [23:0] part, joined, larger;
  logic [27:0] pair;
  logic [55:0] sums;
  logic [15:0] levels, same, digit_sums;
  logic [3:0]  digits;
  logic [95:0] quad;
  logic [3:0]  element, tap;
  logic [11:0] filtered;
  logic [23:0] twice;
  logic [1:0]  twice_valid, twice_ready;
  logic [12:0] doubled;
  logic [13:0] total;
  logic [14:0] biased;
  logic padded_valid, padded_ready, shortcut_valid, shortcut_ready, window_valid, window_ready, part_valid, part_ready,
        pair_valid, pair_ready, sums_valid, sums_ready, levels_valid, levels_ready, same_valid, same_ready, joined_valid, joined_ready,
        quad_valid, quad_ready, larger_valid, larger_ready, element_valid, element_ready, tap_valid, tap_ready,
        filtered_valid, filtered_ready, doubled_valid, doubled_ready, total_valid, total_ready, biased_valid,
        biased_ready, score_valid, score_ready;

  // ---------------------------------------------------------------- 3 x 3 convolution to 4 channels, beside a shortcut
  stream_fork #(.WIDTH(8), .OUTPUTS(2)) u_fork (
      .clk, .rst, .s_axis_tdata, .s_axis_tvalid, .s_axis_tready,
      .m_axis_tdata(copies), .m_axis_tvalid(copies_valid), .m_axis_tready(copies_ready)
  );

  fmpad #(.IFM_H(6), .IFM_W(8), .CHANNELS(2), .SIMD(2), .BITS(4)) u_pad (
      .clk, .rst, .s_axis_tdata(copies[7:0]), .s_axis_tvalid(copies_valid[0]), .s_axis_tready(copies_ready[0]),
      .m_axis_tdata(padded), .m_axis_tvalid(padded_valid), .m_axis_tready(padded_ready)
  );

  sliding_window #(.IFM_H(8), .IFM_W(10), .CHANNELS(2), .BITS(4), .K_H(3), .K_W(3)) u_window (
      .clk, .rst, .s_axis_tdata(padded), .s_axis_tvalid(padded_valid), .s_axis_tready(padded_ready),
      .m_axis_tdata(window), .m_axis_tvalid(window_valid), .m_axis_tready(window_ready)
  );

  width_converter #(.IN_WIDTH(72), .OUT_WIDTH(24)) u_split (
      .clk, .rst, .s_axis_tdata(window), .s_axis_tvalid(window_valid), .s_axis_tready(window_ready),
      .m_axis_tdata(part), .m_axis_tvalid(part_valid), .m_axis_tready(part_ready)
  );

  mvau #(.MW(18), .MH(4), .SIMD(6), .PE(2), .ACT_BITS(4), .WEIGHT_BITS(4), .ACC_BITS(14),
         .WEIGHTS_FILE("weights.hex")) u_mvau (
      .clk, .rst, .s_axis_tdata(part), .s_axis_tvalid(part_valid), .s_axis_tready(part_ready),
      .m_axis_tdata(pair), .m_axis_tvalid(pair_valid), .m_axis_tready(pair_ready)
  );

  width_converter #(.IN_WIDTH(28), .OUT_WIDTH(56)) u_join (
      .clk, .rst, .s_axis_tdata(pair), .s_axis_tvalid(pair_valid), .s_axis_tready(pair_ready),
      .m_axis_tdata(sums), .m_axis_tvalid(sums_valid), .m_axis_tready(sums_ready)
  );

  threshold #(.CHANNELS(4), .PE(4), .IN_BITS(14), .STEPS(15), .OUT_BITS(4), .THRESHOLDS_FILE("thresholds.hex")) u_levels (
      .clk, .rst, .s_axis_tdata(sums), .s_axis_tvalid(sums_valid), .s_axis_tready(sums_ready),
      .m_axis_tdata(levels), .m_axis_tvalid(levels_valid), .m_axis_tready(levels_ready)
  );

  // The identity, bit by bit: four digits that a register passes.
  constant_mvau #(.MW(4), .MH(4), .ACT_BITS(4), .ACC_BITS(4), .DIGITS(4), .DELAY(1)) u_same (
      .clk, .rst, .s_axis_tdata(levels), .s_axis_tvalid(levels_valid), .s_axis_tready(levels_ready),
      .operands(digits), .sums(digit_sums),
      .m_axis_tdata(same), .m_axis_tvalid(same_valid), .m_axis_tready(same_ready)
  );

  always_ff @(posedge clk) digit_sums <= {3'b0, digits[3], 3'b0, digits[2], 3'b0, digits[1], 3'b0, digits[0]};

  /* verilator lint_off PINCONNECTEMPTY */
  fifo #(.WIDTH(8), .DEPTH(32)) u_shortcut (
      .clk, .rst, .s_axis_tdata(copies[15:8]), .s_axis_tvalid(copies_valid[1]), .s_axis_tready(copies_ready[1]),
      .m_axis_tdata(shortcut), .m_axis_tvalid(shortcut_valid), .m_axis_tready(shortcut_ready), .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  stream_concat #(.LHS_WIDTH(16), .RHS_WIDTH(8)) u_concat (
      .clk, .rst,
      .s_axis_lhs_tdata(same), .s_axis_lhs_tvalid(same_valid), .s_axis_lhs_tready(same_ready),
      .s_axis_rhs_tdata(shortcut), .s_axis_rhs_tvalid(shortcut_valid), .s_axis_rhs_tready(shortcut_ready),
      .m_axis_tdata(joined), .m_axis_tvalid(joined_valid), .m_axis_tready(joined_ready)
  );

  // ---------------------------------------------------------------- 2 x 2 max pool of 6 channels
  sliding_window #(.IFM_H(6), .IFM_W(8), .CHANNELS(6), .BITS(4), .K_H(2), .K_W(2), .STRIDE_H(2), .STRIDE_W(2)) u_quads (
      .clk, .rst, .s_axis_tdata(joined), .s_axis_tvalid(joined_valid), .s_axis_tready(joined_ready),
      .m_axis_tdata(quad), .m_axis_tvalid(quad_valid), .m_axis_tready(quad_ready)
  );

  max_pool #(.CHANNELS(6), .BITS(4), .WINDOW(4)) u_pool (
      .clk, .rst, .s_axis_tdata(quad), .s_axis_tvalid(quad_valid), .s_axis_tready(quad_ready),
      .m_axis_tdata(larger), .m_axis_tvalid(larger_valid), .m_axis_tready(larger_ready)
  );

  // ---------------------------------------------------------------- 3 x 3 depthwise convolution, an element a beat
  width_converter #(.IN_WIDTH(24), .OUT_WIDTH(4)) u_elements (
      .clk, .rst, .s_axis_tdata(larger), .s_axis_tvalid(larger_valid), .s_axis_tready(larger_ready),
      .m_axis_tdata(element), .m_axis_tvalid(element_valid), .m_axis_tready(element_ready)
  );

  sliding_window_folded #(.IFM_H(3), .IFM_W(4), .CHANNELS(6), .SIMD(1), .BITS(4), .DEPTHWISE(1)) u_taps (
      .clk, .rst, .s_axis_tdata(element), .s_axis_tvalid(element_valid), .s_axis_tready(element_ready),
      .m_axis_tdata(tap), .m_axis_tvalid(tap_valid), .m_axis_tready(tap_ready)
  );

  vvau #(.CHANNELS(6), .KERNEL(9), .ACT_BITS(4), .WEIGHT_BITS(4), .ACC_BITS(12), .WEIGHTS_FILE("taps.hex")) u_vvau (
      .clk, .rst, .s_axis_tdata(tap), .s_axis_tvalid(tap_valid), .s_axis_tready(tap_ready),
      .m_axis_tdata(filtered), .m_axis_tvalid(filtered_valid), .m_axis_tready(filtered_ready)
  );

  // ---------------------------------------------------------------- twice that, its sum over the image, a bias a channel
  stream_fork #(.WIDTH(12), .OUTPUTS(2)) u_twice (
      .clk, .rst, .s_axis_tdata(filtered), .s_axis_tvalid(filtered_valid), .s_axis_tready(filtered_ready),
      .m_axis_tdata(twice), .m_axis_tvalid(twice_valid), .m_axis_tready(twice_ready)
  );

  stream_add #(.LHS_BITS(12), .LHS_SIGNED(1), .RHS_BITS(12), .RHS_SIGNED(1), .OUT_BITS(13)) u_add (
      .clk, .rst,
      .s_axis_lhs_tdata(twice[11:0]), .s_axis_lhs_tvalid(twice_valid[0]), .s_axis_lhs_tready(twice_ready[0]),
      .s_axis_rhs_tdata(twice[23:12]), .s_axis_rhs_tvalid(twice_valid[1]), .s_axis_rhs_tready(twice_ready[1]),
      .m_axis_tdata(doubled), .m_axis_tvalid(doubled_valid), .m_axis_tready(doubled_ready)
  );

  global_acc_pool #(.CHANNELS(6), .PIXELS(2), .BITS(13), .SIGNED(1), .OUT_BITS(14)) u_total (
      .clk, .rst, .s_axis_tdata(doubled), .s_axis_tvalid(doubled_valid), .s_axis_tready(doubled_ready),
      .m_axis_tdata(total), .m_axis_tvalid(total_valid), .m_axis_tready(total_ready)
  );

  channel_add #(.CHANNELS(6), .IN_BITS(14), .ADDEND_BITS(8), .OUT_BITS(15), .ADDENDS_FILE("addends.hex")) u_bias (
      .clk, .rst, .s_axis_tdata(total), .s_axis_tvalid(total_valid), .s_axis_tready(total_ready),
      .m_axis_tdata(biased), .m_axis_tvalid(biased_valid), .m_axis_tready(biased_ready)
  );

  // ---------------------------------------------------------------- the larger of two channels, the largest of three scores
  max_pool_folded #(.BITS(15), .SIGNED(1), .WINDOW(2)) u_pairs (
      .clk, .rst, .s_axis_tdata(biased), .s_axis_tvalid(biased_valid), .s_axis_tready(biased_ready),
      .m_axis_tdata(score), .m_axis_tvalid(score_valid), .m_axis_tready(score_ready)
  );

  label_select #(.LABELS(3), .BITS(15), .OUT_BITS(2)) u_label (
      .clk, .rst, .s_axis_tdata(score), .s_axis_tvalid(score_valid), .s_axis_tready(score_ready),
      .m_axis_tdata, .m_axis_tvalid, .m_axis_tready
  );

  assign score_passes = score_valid && score_ready;

endmodule

`default_nettype wire
