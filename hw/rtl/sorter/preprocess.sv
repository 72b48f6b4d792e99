// SPDX-License-Identifier: Apache-2.0
//
// preprocess: raw samples to the network's unsigned 8-bit pixels. Bit-true model: sim/bit_true/preprocess.py.
//
//   y = clip(((x - background) * gain + 2^(SHIFT-1)) >> SHIFT, 0, 255) in every channel, x and background unsigned, gain signed
//   18 bit. One multiplier a channel, of (SAMPLE_BITS + 1) x 18 bit: one DSP slice.
//   Handshake   AXI4-Stream; s_axis_tready follows m_axis_tready combinationally (the three stages move together).
//   Latency     3 cycles. Interval 1 cycle.
//   Reset       empties the pipeline.
//   Order       channel 0 at the LSB on both sides.
`default_nettype none

module preprocess #(
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter logic [C*SAMPLE_BITS-1:0] BACKGROUND = '0,
    parameter logic [C*18-1:0]          GAIN       = '0,
    parameter int unsigned SHIFT       = 1
) (
    input  wire logic                      clk,
    input  wire logic                      rst,

    input  wire logic [C*SAMPLE_BITS-1:0]  s_axis_tdata,
    input  wire logic                      s_axis_tvalid,
    output logic                           s_axis_tready,

    output logic [C*8-1:0]                 m_axis_tdata,
    output logic                           m_axis_tvalid,
    input  wire logic                      m_axis_tready
);
  if (C < 1 || SAMPLE_BITS < 1 || SAMPLE_BITS > 17) begin : gen_size_error
    $error("preprocess: C must be at least 1 and SAMPLE_BITS within 1..17");
  end
  if (SHIFT < 1 || SHIFT > 31) begin : gen_shift_error
    $error("preprocess: SHIFT must be within 1..31");
  end

  localparam int unsigned DifferenceBits = SAMPLE_BITS + 1;
  localparam int unsigned ProductBits    = DifferenceBits + 18;
  // Room for the rounding constant, which may exceed every product.
  localparam int unsigned RoundBits      = (ProductBits > 32 ? ProductBits : 32) + 1;

  logic [1:0] valid_q;
  wire        move = !m_axis_tvalid || m_axis_tready;

  assign s_axis_tready = move;

  always_ff @(posedge clk) begin
    if (move) {m_axis_tvalid, valid_q} <= {valid_q, s_axis_tvalid};
    if (rst) begin
      valid_q       <= '0;
      m_axis_tvalid <= 1'b0;
    end
  end

  for (genvar c = 0; c < C; c++) begin : gen_channel
    localparam logic signed [DifferenceBits-1:0] Background = {1'b0, BACKGROUND[c*SAMPLE_BITS+:SAMPLE_BITS]};
    localparam logic signed [17:0]               Gain       = GAIN[c*18+:18];
    localparam logic signed [RoundBits-1:0]      Half       = RoundBits'(1) << (SHIFT - 1);

    logic signed [DifferenceBits-1:0] difference_q;
    logic signed [ProductBits-1:0]    product_q;

    always_ff @(posedge clk) begin
      if (move && s_axis_tvalid) difference_q <= $signed({1'b0, s_axis_tdata[c*SAMPLE_BITS+:SAMPLE_BITS]}) - Background;
      if (move && valid_q[0]) product_q <= difference_q * Gain;
      if (move && valid_q[1]) begin : clip
        automatic logic signed [RoundBits-1:0] rounded = (RoundBits'(product_q) + Half) >>> SHIFT;
        if (rounded < 0) m_axis_tdata[c*8+:8] <= 8'd0;
        else if (rounded > 255) m_axis_tdata[c*8+:8] <= 8'd255;
        else m_axis_tdata[c*8+:8] <= rounded[7:0];
      end
    end
  end

endmodule

`default_nettype wire
