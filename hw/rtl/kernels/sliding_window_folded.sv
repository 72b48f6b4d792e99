// SPDX-License-Identifier: Apache-2.0
//
// sliding_window_folded: windows of a wide layer, SIMD channels a beat (FINN: ConvolutionInputGenerator, not parallel).
//
//   Input       pixels row by row, CHANNELS / SIMD beats each; the first channel at the LSB. Frames back to back.
//   Output      windows row by row, K_H * K_W * CHANNELS / SIMD beats each, SIMD channels of one tap a beat.
//               DEPTHWISE = 0: (kh, kw, channels), the channels fastest; DEPTHWISE = 1: (channels, kh, kw), kw fastest.
//               No padding. Rows and columns that no window needs are consumed.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers. s_axis_tready comes from registers
//               alone: it is low while all lines are in use.
//   Latency     a beat leaves 2 cycles after the input beat that it copies was taken, or 1 cycle after the beat before
//               it, whichever is later. The parts of a window that are there leave before the window is complete.
//   Interval    one beat a cycle on both sides, also over the ends of rows and frames. A row of windows lets go of the
//               lines above the next row with its last beat (below the last row, once the frame is in), and a
//               line is written again the cycle after that: the input runs up to LINES - K_H lines ahead. Frames follow
//               each other without a bubble if the last row of windows and the first of the next frame have room,
//               that is with LINES = K_H + IFM_H - (rows of windows - 1) * STRIDE_H.
//   Memory      LINES lines, at least K_H + STRIDE_H, one word a beat, one write and one registered read a cycle.
//               RAM_STYLE is the ram_style attribute of that memory: "auto", "distributed", "block" or "ultra".
//   Reset       the next beat in is the first of a frame, and so is the next beat out.
//   Overflow    cannot happen: no beat is taken while all lines are in use.
`default_nettype none

module sliding_window_folded #(
    parameter int unsigned IFM_H     = 4,
    parameter int unsigned IFM_W     = 4,
    parameter int unsigned CHANNELS  = 2,
    parameter int unsigned SIMD      = 1,
    parameter int unsigned BITS      = 8,
    parameter int unsigned K_H       = 3,
    parameter int unsigned K_W       = 3,
    parameter int unsigned STRIDE_H  = 1,
    parameter int unsigned STRIDE_W  = 1,
    parameter int unsigned LINES     = K_H + STRIDE_H,
    parameter int unsigned DEPTHWISE = 0,
    parameter              RAM_STYLE = "auto",
    localparam int unsigned BeatBits = SIMD * BITS
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
  if (SIMD < 1 || CHANNELS < 1 || CHANNELS % SIMD != 0) begin : gen_simd_error
    $error("sliding_window_folded: CHANNELS must be a multiple of SIMD, and both at least 1");
  end
  if (BITS < 1 || K_H < 1 || K_W < 1 || STRIDE_H < 1 || STRIDE_W < 1) begin : gen_size_error
    $error("sliding_window_folded: BITS, K_H, K_W, STRIDE_H and STRIDE_W must be at least 1");
  end
  if (K_H > IFM_H || K_W > IFM_W) begin : gen_image_error
    $error("sliding_window_folded: the window K_H x K_W does not fit in the image IFM_H x IFM_W");
  end
  if (LINES < K_H + STRIDE_H) begin : gen_lines_error
    $error("sliding_window_folded: LINES must be at least K_H + STRIDE_H");
  end
  if (DEPTHWISE > 1) begin : gen_depthwise_error
    $error("sliding_window_folded: DEPTHWISE must be 0 or 1");
  end
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  if (RAM_STYLE != "auto" && RAM_STYLE != "distributed" && RAM_STYLE != "block"
      && RAM_STYLE != "ultra") begin : gen_style_error
  /* verilator lint_on WIDTHEXPAND */
    $error("sliding_window_folded: RAM_STYLE must be auto, distributed, block or ultra");
  end

  localparam int unsigned Fold      = CHANNELS / SIMD;
  localparam int unsigned OutH      = (IFM_H - K_H) / STRIDE_H + 1;
  localparam int unsigned OutW      = (IFM_W - K_W) / STRIDE_W + 1;
  localparam int unsigned Line      = IFM_W * Fold;                       // beats
  localparam int unsigned LastSkip  = IFM_H - (OutH - 1) * STRIDE_H;      // lines from the last row's top to the next frame
  localparam int unsigned Depth     = LINES * Line;
  localparam int unsigned LineBits  = $clog2(Line + 1);
  localparam int unsigned AddrBits  = Depth > 1 ? $clog2(Depth) : 1;
  localparam int unsigned LevelBits = $clog2(LINES + 1);
  localparam int unsigned FoldBits  = Fold > 1 ? $clog2(Fold) : 1;
  localparam int unsigned KhBits    = K_H > 1 ? $clog2(K_H) : 1;
  localparam int unsigned KwBits    = K_W > 1 ? $clog2(K_W) : 1;
  localparam int unsigned OhBits    = OutH > 1 ? $clog2(OutH) : 1;
  localparam int unsigned OwBits    = OutW > 1 ? $clog2(OutW) : 1;

  (* ram_style = RAM_STYLE *)
  logic [BeatBits-1:0]  lines [Depth];

  // Whole lines in use, counted from the top line of the current row of windows; the line that is being written is
  // number level_q, and write_q beats of it are there.
  logic [LevelBits-1:0] level_q;
  logic [LineBits-1:0]  write_q;
  logic [AddrBits-1:0]  write_addr_q;

  wire accept    = s_axis_tvalid && s_axis_tready;
  wire line_done = accept && write_q == LineBits'(Line - 1);

  assign s_axis_tready = level_q != LevelBits'(LINES);

  // ---- The beat to read: tap (kh_q, kw_q) of channels fold_q in window (oh_q, ow_q).

  logic [OhBits-1:0]    oh_q;
  logic [OwBits-1:0]    ow_q;
  logic [KhBits-1:0]    kh_q;
  logic [KwBits-1:0]    kw_q;
  logic [FoldBits-1:0]  fold_q;
  logic [LineBits-1:0]  window_q;    // first beat of the window in its lines
  logic [LineBits-1:0]  column_q;    // the beat in its line
  logic [AddrBits-1:0]  top_q;       // address of the top line
  logic [AddrBits-1:0]  line_q;      // address of the beat's line

  wire last_oh   = oh_q == OhBits'(OutH - 1);
  wire last_ow   = ow_q == OwBits'(OutW - 1);
  wire last_kh   = kh_q == KhBits'(K_H - 1);
  wire last_kw   = kw_q == KwBits'(K_W - 1);
  wire last_fold = fold_q == FoldBits'(Fold - 1);
  wire last_beat = last_kh && last_kw && last_fold && last_ow;

  logic                 release_q;   // the row of windows is out, but lines that it lets go are still to come

  wire here    = LevelBits'(kh_q) < level_q || (LevelBits'(kh_q) == level_q && column_q < write_q);
  wire enable  = m_axis_tready || !m_axis_tvalid;
  wire take    = enable && here && !release_q;

  // Lines to let go after a row of windows: at once if they are all there, else when they are.
  wire [LevelBits-1:0]  skip = last_oh ? LevelBits'(LastSkip) : LevelBits'(STRIDE_H);
  wire                  let_go = (release_q || (take && last_beat)) && level_q >= skip;

  function automatic logic [AddrBits-1:0] forward(input logic [AddrBits-1:0] address, input int unsigned count);
    // Addresses of lines go round; count < LINES or count = LINES, which goes all the way.
    automatic logic [AddrBits:0] sum = {1'b0, address} + (AddrBits + 1)'(count * Line);
    return AddrBits'(sum >= (AddrBits + 1)'(Depth) ? sum - (AddrBits + 1)'(Depth) : sum);
  endfunction

  wire [AddrBits-1:0] next_top = last_oh ? forward(top_q, LastSkip) : forward(top_q, STRIDE_H);

  always_ff @(posedge clk) begin
    if (accept) begin
      lines[write_addr_q] <= s_axis_tdata;
      write_addr_q        <= write_addr_q == AddrBits'(Depth - 1) ? '0 : write_addr_q + 1'b1;
      write_q             <= line_done ? '0 : write_q + 1'b1;
    end
    if (line_done && !let_go) level_q <= level_q + 1'b1;
    if (let_go) level_q <= level_q - skip + LevelBits'(line_done);

    if (take) m_axis_tdata <= lines[line_q + AddrBits'(column_q)];
    if (enable) m_axis_tvalid <= take;

    // Taps and channels of a window.
    if (take) begin
      if (DEPTHWISE != 0) begin
        kw_q     <= last_kw ? '0 : kw_q + 1'b1;
        column_q <= column_q + LineBits'(Fold);
        if (last_kw) begin
          kh_q     <= last_kh ? '0 : kh_q + 1'b1;
          line_q   <= last_kh ? top_q : forward(line_q, 1);
          column_q <= window_q + LineBits'(fold_q);
          if (last_kh) begin
            fold_q   <= last_fold ? '0 : fold_q + 1'b1;
            column_q <= window_q + LineBits'(fold_q) + 1'b1;
          end
        end
      end else begin
        fold_q   <= last_fold ? '0 : fold_q + 1'b1;
        column_q <= column_q + 1'b1;
        if (last_fold) begin
          kw_q <= last_kw ? '0 : kw_q + 1'b1;
          if (last_kw) begin
            kh_q     <= last_kh ? '0 : kh_q + 1'b1;
            line_q   <= last_kh ? top_q : forward(line_q, 1);
            column_q <= window_q;
          end
        end
      end
      // The next window of the row.
      if (last_kh && last_kw && last_fold) begin
        ow_q     <= last_ow ? '0 : ow_q + 1'b1;
        window_q <= last_ow ? '0 : window_q + LineBits'(STRIDE_W * Fold);
        column_q <= last_ow ? '0 : window_q + LineBits'(STRIDE_W * Fold);
      end
    end
    // The next row of windows.
    if (take && last_beat) release_q <= 1'b1;
    if (let_go) begin
      release_q <= 1'b0;
      oh_q      <= last_oh ? '0 : oh_q + 1'b1;
      top_q     <= next_top;
      line_q    <= next_top;
    end

    if (rst) begin
      level_q       <= '0;
      write_q       <= '0;
      write_addr_q  <= '0;
      m_axis_tvalid <= 1'b0;
      oh_q          <= '0;
      ow_q          <= '0;
      kh_q          <= '0;
      kw_q          <= '0;
      fold_q        <= '0;
      window_q      <= '0;
      column_q      <= '0;
      top_q         <= '0;
      line_q        <= '0;
      release_q     <= 1'b0;
    end
  end

endmodule

`default_nettype wire
