// SPDX-License-Identifier: Apache-2.0
//
// mvau: matrix times vector with PE rows and SIMD columns at a time (FINN: MVAU without activation).
//
//   With SF = MW / SIMD and NF = MH / PE:
//   Input       vectors of MW activations, SIMD a beat, SF beats; the first activation at the LSB.
//   Output      MH accumulators, signed, PE a beat, NF beats; the first row at the LSB.
//   Weights     WEIGHTS_FILE, read by $readmemh, NF*SF words. Word nf*SF + sf holds W[nf*PE + pe][sf*SIMD + simd] at
//               bit (pe*SIMD + simd) * WEIGHT_BITS, two's complement; WEIGHT_BITS = 1 is bipolar: 1 is +1, 0 is -1.
//   Styles      RAM_STYLE, MULT_STYLE, DSP_A_BITS and ACT_BIPOLAR: see dot_product, which does the arithmetic.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers. The whole pipeline moves when
//               m_axis_tready || !m_axis_tvalid; s_axis_tready is that, in the same cycle, but low during a replay.
//   Latency     2 + ceil(log2(SIMD)) + (SF > 1) cycles from the last input beat of a vector to its first output beat.
//               Further output beats follow SF cycles apart.
//   Interval    one beat a cycle; SF*NF cycles a vector, without a bubble between vectors. With NF > 1 the vector is
//               kept while it enters and replayed NF-1 times; s_axis_tready is low during these (NF-1)*SF cycles, so
//               the next vector waits outside.
//   Reset       forgets the vector and empties the pipeline.
//   Overflow    arithmetic is modulo 2^ACC_BITS: partial sums may wrap, the result is right if it fits in ACC_BITS.
`default_nettype none

module mvau #(
    parameter int unsigned MW          = 4,
    parameter int unsigned MH          = 2,
    parameter int unsigned SIMD        = 2,
    parameter int unsigned PE          = 1,
    parameter int unsigned ACT_BITS    = 8,
    parameter int unsigned ACT_SIGNED  = 0,
    parameter int unsigned ACT_BIPOLAR = 0,
    parameter int unsigned WEIGHT_BITS = 4,
    parameter int unsigned ACC_BITS    = 16,
    parameter              WEIGHTS_FILE = "weights.hex",
    parameter              RAM_STYLE    = "auto",
    parameter              MULT_STYLE   = "auto",
    parameter int unsigned DSP_A_BITS  = 25
) (
    input  wire logic                      clk,
    input  wire logic                      rst,

    input  wire logic [SIMD*ACT_BITS-1:0]  s_axis_tdata,
    input  wire logic                      s_axis_tvalid,
    output logic                           s_axis_tready,

    output logic [PE*ACC_BITS-1:0]         m_axis_tdata,
    output logic                           m_axis_tvalid,
    input  wire logic                      m_axis_tready
);
  if (SIMD < 1 || MW < 1 || MW % SIMD != 0) begin : gen_simd_error
    $error("mvau: MW must be a multiple of SIMD, and both at least 1");
  end
  if (PE < 1 || MH < 1 || MH % PE != 0) begin : gen_pe_error
    $error("mvau: MH must be a multiple of PE, and both at least 1");
  end

  localparam int unsigned Sf     = MW / SIMD;
  localparam int unsigned Nf     = MH / PE;
  localparam int unsigned SfBits = Sf > 1 ? $clog2(Sf) : 1;

  logic [SfBits-1:0]        sf;
  logic                     last_beat, last_word, beat_ready;
  logic                     replay;  // the beat comes from the kept vector
  logic [SIMD*ACT_BITS-1:0] beat;

  assign s_axis_tready = beat_ready && !replay;

  if (Nf > 1) begin : gen_replay
    logic [SIMD*ACT_BITS-1:0] vector [Sf];
    logic                     replay_q;

    assign replay = replay_q;
    assign beat   = replay_q ? vector[sf] : s_axis_tdata;

    always_ff @(posedge clk) begin
      if (s_axis_tvalid && s_axis_tready) vector[sf] <= s_axis_tdata;
      if (beat_ready && (replay_q || s_axis_tvalid) && last_beat) replay_q <= !last_word;
      if (rst) replay_q <= 1'b0;
    end
  end else begin : gen_no_replay
    assign replay = 1'b0;
    assign beat   = s_axis_tdata;
    wire unused = &{1'b0, sf, last_beat, last_word};
  end

  dot_product #(
      .NF(Nf), .SF(Sf), .SIMD(SIMD), .PE(PE), .ACT_BITS(ACT_BITS), .ACT_SIGNED(ACT_SIGNED), .ACT_BIPOLAR(ACT_BIPOLAR),
      .SHARED_ACT(1), .WEIGHT_BITS(WEIGHT_BITS), .ACC_BITS(ACC_BITS), .WEIGHTS_FILE(WEIGHTS_FILE), .RAM_STYLE(RAM_STYLE),
      .MULT_STYLE(MULT_STYLE), .DSP_A_BITS(DSP_A_BITS)
  ) u_dot_product (
      .clk, .rst,
      .s_axis_tdata(beat), .s_axis_tvalid(replay || s_axis_tvalid), .s_axis_tready(beat_ready),
      .sf, .last_beat, .last_word,
      .m_axis_tdata, .m_axis_tvalid, .m_axis_tready
  );

endmodule

`default_nettype wire
