// SPDX-License-Identifier: Apache-2.0
//
// global_acc_pool: sum of each channel over all pixels of a frame (FINN: GlobalAccPool; the division comes later).
//
//   Input       PIXELS pixels of CHANNELS values a frame, PE a beat, CHANNELS / PE beats a pixel; channel 0 first, at
//               the LSB. Frames back to back.
//   Output      CHANNELS sums a frame, PE a beat, in the same order; two's complement if SIGNED.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers. s_axis_tready is low only if a sum waits
//               and the beat that comes next belongs to the last pixel; m_axis_tready acts on it in the same cycle.
//   Latency     1 cycle from a beat of the last pixel to the sums of its channels.
//   Interval    one beat a cycle, without a bubble between frames.
//   Memory      one sum a channel, one word of PE sums a beat of a pixel, registered read. RAM_STYLE is the ram_style
//               attribute of that memory: "auto", "distributed", "block" or "ultra".
//   Reset       the next beat is the first of a frame.
//   Overflow    arithmetic is modulo 2^OUT_BITS: the result is right if it fits.
`default_nettype none

module global_acc_pool #(
    parameter int unsigned CHANNELS = 1,
    parameter int unsigned PE       = 1,
    parameter int unsigned PIXELS   = 4,
    parameter int unsigned BITS     = 8,
    parameter int unsigned SIGNED   = 0,
    parameter int unsigned OUT_BITS = 10,
    parameter              RAM_STYLE = "auto"
) (
    input  wire logic                    clk,
    input  wire logic                    rst,

    input  wire logic [PE*BITS-1:0]      s_axis_tdata,
    input  wire logic                    s_axis_tvalid,
    output logic                         s_axis_tready,

    output logic [PE*OUT_BITS-1:0]       m_axis_tdata,
    output logic                         m_axis_tvalid,
    input  wire logic                    m_axis_tready
);
  if (PE < 1 || CHANNELS < 1 || CHANNELS % PE != 0) begin : gen_pe_error
    $error("global_acc_pool: CHANNELS must be a multiple of PE, and both at least 1");
  end
  if (PIXELS < 1 || BITS < 1 || OUT_BITS < BITS) begin : gen_size_error
    $error("global_acc_pool: PIXELS and BITS must be at least 1, OUT_BITS at least BITS");
  end
  if (SIGNED > 1) begin : gen_signed_error
    $error("global_acc_pool: SIGNED must be 0 or 1");
  end
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  if (RAM_STYLE != "auto" && RAM_STYLE != "distributed" && RAM_STYLE != "block"
      && RAM_STYLE != "ultra") begin : gen_ram_error
  /* verilator lint_on WIDTHEXPAND */
    $error("global_acc_pool: RAM_STYLE must be auto, distributed, block or ultra");
  end

  localparam int unsigned Folds     = CHANNELS / PE;
  localparam int unsigned FoldBits  = Folds > 1 ? $clog2(Folds) : 1;
  localparam int unsigned PixelBits = PIXELS > 1 ? $clog2(PIXELS) : 1;
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  /* verilator lint_off UNUSEDPARAM */  // for other tools alone
  localparam              Style     = Folds == 1 ? "registers" : RAM_STYLE;
  /* verilator lint_on UNUSEDPARAM */
  /* verilator lint_on WIDTHEXPAND */

  logic [FoldBits-1:0]    fold_q;
  logic [PixelBits-1:0]   pixel_q;
  (* ram_style = Style *)
  logic [PE*OUT_BITS-1:0] sums [Folds];
  logic [PE*OUT_BITS-1:0] sum_q;  // so far, of the channels that come next

  wire last_fold  = fold_q == FoldBits'(Folds - 1);
  wire last_pixel = pixel_q == PixelBits'(PIXELS - 1);
  wire accept     = s_axis_tvalid && s_axis_tready;
  wire [FoldBits-1:0] next_fold = last_fold ? '0 : fold_q + 1'b1;

  assign s_axis_tready = m_axis_tready || !m_axis_tvalid || !last_pixel;

  always_ff @(posedge clk) begin
    if (accept) begin
      automatic logic [PE*OUT_BITS-1:0] next = '0;
      /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
        next[pe*OUT_BITS +: OUT_BITS] =
            OUT_BITS'($signed({SIGNED != 0 && s_axis_tdata[pe*BITS + BITS - 1], s_axis_tdata[pe*BITS +: BITS]}))
          + (pixel_q == '0 ? '0 : sum_q[pe*OUT_BITS +: OUT_BITS]);
      end
      // Read one fold ahead of the write: the two addresses differ, except with a single fold.
      sums[fold_q] <= next;
      sum_q        <= Folds == 1 ? next : sums[next_fold];
      if (last_pixel) m_axis_tdata <= next;
      fold_q <= next_fold;
      if (last_fold) pixel_q <= last_pixel ? '0 : pixel_q + 1'b1;
    end
    if (m_axis_tready || !m_axis_tvalid) m_axis_tvalid <= accept && last_pixel;
    if (rst) begin
      fold_q        <= '0;
      pixel_q       <= '0;
      m_axis_tvalid <= 1'b0;
    end
  end

endmodule

`default_nettype wire
