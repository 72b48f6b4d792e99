// SPDX-License-Identifier: Apache-2.0
//
// sliding_window: turns a stream of pixels into a stream of convolution windows (FINN: ConvolutionInputGenerator).
//
//   Input       one pixel a beat, row by row; channel 0 at the LSB. IFM_H * IFM_W beats a frame, frames back to back.
//   Output      one whole window a beat, row by row; inside, element (kh, kw, c) with c fastest, then kw, then kh, the
//               first at the LSB. No padding. Rows and columns that no window needs are consumed.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers; s_axis_tready is
//               m_axis_tready || !m_axis_tvalid in the same cycle.
//   Latency     1 cycle from the bottom-right pixel of a window to that window.
//   Interval    one pixel a cycle, also over the ends of rows and frames.
//   Memory      K_H-1 lines, one word of K_H-1 pixels a column, registered read; and the window. Never the image.
//               RAM_STYLE is the ram_style attribute of the lines: "auto", "distributed", "block" or "ultra".
//   Reset       the next pixel is the first of a frame.
//   Overflow    cannot happen: no pixel is taken while a window waits.
`default_nettype none

module sliding_window #(
    parameter int unsigned IFM_H    = 4,
    parameter int unsigned IFM_W    = 4,
    parameter int unsigned CHANNELS = 1,
    parameter int unsigned BITS     = 8,
    parameter int unsigned K_H      = 3,
    parameter int unsigned K_W      = 3,
    parameter int unsigned STRIDE_H = 1,
    parameter int unsigned STRIDE_W = 1,
    parameter              RAM_STYLE = "auto",
    localparam int unsigned PixelBits  = CHANNELS * BITS,
    localparam int unsigned WindowBits = K_H * K_W * PixelBits
) (
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic [PixelBits-1:0]   s_axis_tdata,
    input  wire logic                   s_axis_tvalid,
    output logic                        s_axis_tready,

    output logic [WindowBits-1:0]       m_axis_tdata,
    output logic                        m_axis_tvalid,
    input  wire logic                   m_axis_tready
);
  if (CHANNELS < 1 || BITS < 1) begin : gen_pixel_error
    $error("sliding_window: CHANNELS and BITS must be at least 1");
  end
  if (K_H < 1 || K_W < 1 || STRIDE_H < 1 || STRIDE_W < 1) begin : gen_kernel_error
    $error("sliding_window: K_H, K_W, STRIDE_H and STRIDE_W must be at least 1");
  end
  if (K_H > IFM_H || K_W > IFM_W) begin : gen_image_error
    $error("sliding_window: the window K_H x K_W does not fit in the image IFM_H x IFM_W");
  end
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  if (RAM_STYLE != "auto" && RAM_STYLE != "distributed" && RAM_STYLE != "block"
      && RAM_STYLE != "ultra") begin : gen_ram_error
  /* verilator lint_on WIDTHEXPAND */
    $error("sliding_window: RAM_STYLE must be auto, distributed, block or ultra");
  end

  localparam int unsigned ColBits     = IFM_W > 1 ? $clog2(IFM_W) : 1;
  localparam int unsigned RowBits     = IFM_H > 1 ? $clog2(IFM_H) : 1;
  localparam int unsigned ColWait     = K_W > STRIDE_W ? K_W : STRIDE_W;
  localparam int unsigned RowWait     = K_H > STRIDE_H ? K_H : STRIDE_H;
  localparam int unsigned ColWaitBits = ColWait > 1 ? $clog2(ColWait) : 1;
  localparam int unsigned RowWaitBits = RowWait > 1 ? $clog2(RowWait) : 1;

  logic [ColBits-1:0]     col_q;
  logic [RowBits-1:0]     row_q;
  // Columns (rows) to come before the next one that ends a window.
  logic [ColWaitBits-1:0] col_wait_q;
  logic [RowWaitBits-1:0] row_wait_q;

  assign s_axis_tready = m_axis_tready || !m_axis_tvalid;

  wire accept   = s_axis_tvalid && s_axis_tready;
  wire last_col = col_q == ColBits'(IFM_W - 1);
  wire last_row = row_q == RowBits'(IFM_H - 1);
  wire [ColBits-1:0] next_col = last_col ? '0 : col_q + 1'b1;

  always_ff @(posedge clk) begin
    if (accept) begin
      col_q <= next_col;
      if (last_col) col_wait_q <= ColWaitBits'(K_W - 1);
      else if (col_wait_q == '0) col_wait_q <= ColWaitBits'(STRIDE_W - 1);
      else col_wait_q <= col_wait_q - 1'b1;
      if (last_col) begin
        row_q <= last_row ? '0 : row_q + 1'b1;
        if (last_row) row_wait_q <= RowWaitBits'(K_H - 1);
        else if (row_wait_q == '0) row_wait_q <= RowWaitBits'(STRIDE_H - 1);
        else row_wait_q <= row_wait_q - 1'b1;
      end
    end
    if (rst) begin
      col_q      <= '0;
      row_q      <= '0;
      col_wait_q <= ColWaitBits'(K_W - 1);
      row_wait_q <= RowWaitBits'(K_H - 1);
    end
  end

  // The new pixel and the K_H-1 pixels above it, the top one first.
  logic [K_H-1:0][PixelBits-1:0] column;

  if (K_H > 1) begin : gen_lines
    /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
    /* verilator lint_off UNUSEDPARAM */  // for other tools alone
    localparam Style = IFM_W == 1 ? "registers" : RAM_STYLE;
    /* verilator lint_on UNUSEDPARAM */
    /* verilator lint_on WIDTHEXPAND */

    (* ram_style = Style *)
    logic [K_H-2:0][PixelBits-1:0] lines [IFM_W];
    logic [K_H-2:0][PixelBits-1:0] above_q;  // of the column that comes next

    assign column = {s_axis_tdata, above_q};

    // Read one column ahead of the write: the two addresses differ, except in an image one pixel wide. What an earlier
    // frame left in the lines has moved out by the time a window needs them.
    always_ff @(posedge clk) begin
      if (accept) begin
        lines[col_q] <= column[K_H-1:1];
        above_q      <= IFM_W == 1 ? column[K_H-1:1] : lines[next_col];
      end
    end
  end else begin : gen_no_lines
    assign column = s_axis_tdata;
  end

  logic [K_H-1:0][K_W-1:0][PixelBits-1:0] window_q;

  assign m_axis_tdata = window_q;

  always_ff @(posedge clk) begin
    if (accept) begin
      for (int unsigned kh = 0; kh < K_H; kh++) begin
        for (int unsigned kw = 0; kw + 1 < K_W; kw++) window_q[kh][kw] <= window_q[kh][kw+1];
        window_q[kh][K_W-1] <= column[kh];
      end
    end
    if (s_axis_tready) m_axis_tvalid <= s_axis_tvalid && col_wait_q == '0 && row_wait_q == '0;
    if (rst) m_axis_tvalid <= 1'b0;
  end

endmodule

`default_nettype wire
