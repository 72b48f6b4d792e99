// SPDX-License-Identifier: Apache-2.0
//
// fmpad: puts a border of PAD_VALUE around every frame (FINN: FMPadding, which has zeros).
//
//   Input       pixels row by row, CHANNELS / SIMD beats each; the first channel at the LSB.
//               IFM_H * IFM_W * CHANNELS / SIMD beats a frame, frames back to back.
//   Output      the same order, (PAD_TOP + IFM_H + PAD_BOTTOM) * (PAD_LEFT + IFM_W + PAD_RIGHT) pixels a frame.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers; s_axis_tready is
//               m_axis_tready || !m_axis_tvalid in the same cycle, but low while the border is made.
//   Latency     1 cycle from a beat of the image to the same beat. The border waits for no input: what is above a
//               frame leaves before the frame comes, straight after a reset and after the border below the frame before.
//   Interval    one output beat a cycle.
//   Memory      none: counters and one beat.
//   Reset       the next beat out is the first of a frame, and so is the next beat in.
//   Overflow    cannot happen: no beat is taken while one waits.
`default_nettype none

module fmpad #(
    parameter int unsigned IFM_H      = 4,
    parameter int unsigned IFM_W      = 4,
    parameter int unsigned CHANNELS   = 1,
    parameter int unsigned SIMD       = 1,
    parameter int unsigned BITS       = 8,
    parameter int unsigned PAD_TOP    = 1,
    parameter int unsigned PAD_LEFT   = 1,
    parameter int unsigned PAD_BOTTOM = 1,
    parameter int unsigned PAD_RIGHT  = 1,
    parameter int          PAD_VALUE  = 0,
    localparam int unsigned BeatBits  = SIMD * BITS
) (
    input  wire logic                 clk,
    input  wire logic                 rst,

    input  wire logic [BeatBits-1:0]  s_axis_tdata,
    input  wire logic                 s_axis_tvalid,
    output logic                      s_axis_tready,

    output logic [BeatBits-1:0]       m_axis_tdata,
    output logic                      m_axis_tvalid,
    input  wire logic                 m_axis_tready
);
  if (IFM_H < 1 || IFM_W < 1 || BITS < 1) begin : gen_size_error
    $error("fmpad: IFM_H, IFM_W and BITS must be at least 1");
  end
  if (SIMD < 1 || CHANNELS < 1 || CHANNELS % SIMD != 0) begin : gen_simd_error
    $error("fmpad: CHANNELS must be a multiple of SIMD, and both at least 1");
  end
  // The least value of a signed tensor pads it for a max_pool.
  if (longint'(PAD_VALUE) >= (64'sd1 << BITS) || longint'(PAD_VALUE) < -(64'sd1 << (BITS - 1))) begin : gen_value_error
    $error("fmpad: PAD_VALUE does not fit in BITS");
  end

  localparam int unsigned Fold    = CHANNELS / SIMD;
  // Counted in beats: a row is one run of zeros, one of image, one of zeros.
  localparam int unsigned Left    = PAD_LEFT * Fold;
  localparam int unsigned Image   = IFM_W * Fold;
  localparam int unsigned Width   = Left + Image + PAD_RIGHT * Fold;
  localparam int unsigned Height  = PAD_TOP + IFM_H + PAD_BOTTOM;
  localparam int unsigned ColBits = $clog2(Width + 1);
  localparam int unsigned RowBits = $clog2(Height + 1);

  logic [ColBits-1:0] col_q;
  logic [RowBits-1:0] row_q;

  // Differences, so that a border of width 0 is no comparison with 0; below zero they wrap to large numbers.
  wire in_cols = ColBits'(col_q - ColBits'(Left)) < ColBits'(Image);
  wire in_rows = RowBits'(row_q - RowBits'(PAD_TOP)) < RowBits'(IFM_H);
  wire image   = in_cols && in_rows;
  wire enable  = m_axis_tready || !m_axis_tvalid;
  wire take    = enable && (!image || s_axis_tvalid);

  assign s_axis_tready = enable && image;

  always_ff @(posedge clk) begin
    if (enable) m_axis_tvalid <= take;
    if (take) begin
      m_axis_tdata <= image ? s_axis_tdata : {SIMD{BITS'(PAD_VALUE)}};
      col_q        <= col_q + 1'b1;
      if (col_q == ColBits'(Width - 1)) begin
        col_q <= '0;
        row_q <= row_q == RowBits'(Height - 1) ? '0 : row_q + 1'b1;
      end
    end
    if (rst) begin
      m_axis_tvalid <= 1'b0;
      col_q         <= '0;
      row_q         <= '0;
    end
  end

endmodule

`default_nettype wire
