// SPDX-License-Identifier: Apache-2.0
//
// preprocess: raw samples to the network's unsigned 8-bit pixels. Bit-true model: sim/bit_true/preprocess.py.
//
//   y = clip(((x - background) * gain + 2^(shift-1)) >> shift, 0, 255) in every channel, x and background unsigned, gain signed
//   18 bit, shift 1 .. 31; 0 where s_axis_tuser is high. One multiplier a sample, of (SAMPLE_BITS + 1) x 18 bit: one DSP slice.
//   Constants   taken as the samples pass: to be changed between windows.
//   Handshake   AXI4-Stream; s_axis_tready follows m_axis_tready combinationally (the four stages move together).
//   Latency     4 cycles. Interval 1 cycle.
//   Reset       empties the pipeline.
//   Order       channel 0 of the first of the M pixels at the LSB on both sides.
`default_nettype none

module preprocess #(
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned M           = 1
) (
    input  wire logic                       clk,
    input  wire logic                       rst,

    input  wire logic [C*SAMPLE_BITS-1:0]   background,
    input  wire logic [C*18-1:0]            gain,
    input  wire logic [4:0]                 shift,

    input  wire logic [M*C*SAMPLE_BITS-1:0] s_axis_tdata,
    input  wire logic                       s_axis_tuser,
    input  wire logic                       s_axis_tvalid,
    output logic                            s_axis_tready,

    output logic [M*C*8-1:0]                m_axis_tdata,
    output logic                            m_axis_tvalid,
    input  wire logic                       m_axis_tready
);
  if (C < 1 || M < 1 || SAMPLE_BITS < 8 || SAMPLE_BITS > 16) begin : gen_size_error
    $error("preprocess: C and M must be at least 1 and SAMPLE_BITS within 8..16");
  end

  localparam int unsigned DifferenceBits = SAMPLE_BITS + 1;
  localparam int unsigned ProductBits    = DifferenceBits + 18;

  logic [2:0] valid_q, zero_q;
  logic [4:0] halves_q;  // places to shift up to the bit that rounds
  wire        move = !m_axis_tvalid || m_axis_tready;

  assign s_axis_tready = move;

  always_ff @(posedge clk) begin
    halves_q <= shift - 1'b1;
    if (move) begin
      {m_axis_tvalid, valid_q} <= {valid_q, s_axis_tvalid};
      zero_q <= {zero_q[1:0], s_axis_tuser};
    end
    if (rst) begin
      valid_q       <= '0;
      m_axis_tvalid <= 1'b0;
    end
  end

  for (genvar i = 0; i < M * C; i++) begin : gen_sample
    localparam int unsigned Channel = i % C;

    logic signed [DifferenceBits-1:0] difference_q;
    logic signed [ProductBits-1:0]    product_q, coarse_q;

    always_ff @(posedge clk) begin
      if (move) begin : stages
        automatic logic signed [ProductBits-1:0] fine = coarse_q >>> halves_q[2:0];
        automatic logic [8:0]                    up   = {1'b0, fine[8:1]} + 9'(fine[0]);
        difference_q <= $signed({1'b0, s_axis_tdata[i*SAMPLE_BITS+:SAMPLE_BITS]})
            - $signed({1'b0, background[Channel*SAMPLE_BITS+:SAMPLE_BITS]});
        product_q    <= difference_q * $signed(gain[Channel*18+:18]);
        coarse_q     <= product_q >>> {halves_q[4:3], 3'd0};
        if (fine[ProductBits-1] || zero_q[2]) m_axis_tdata[i*8+:8] <= 8'd0;
        else if (fine[ProductBits-1:9] != '0 || up[8]) m_axis_tdata[i*8+:8] <= 8'd255;
        else m_axis_tdata[i*8+:8] <= up[7:0];
      end
    end
  end

endmodule

`default_nettype wire
