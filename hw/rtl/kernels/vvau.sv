// SPDX-License-Identifier: Apache-2.0
//
// vvau: one small kernel for each channel, PE channels and SIMD taps at a time (FINN: VVAU without activation).
//
//   With SF = KERNEL / SIMD and NF = CHANNELS / PE, KERNEL = height * width of the kernel:
//   Input       WHOLE_WINDOW = 0: windows of KERNEL * CHANNELS activations in NF*SF beats, SF beats for PE channels,
//               then the next PE channels; inside, element (tap, channel) with the channel fastest, the first at
//               the LSB: what a depthwise sliding_window_folded sends.
//               WHOLE_WINDOW = 1: one beat a window, element (tap, channel) with the channel fastest: what
//               sliding_window sends. The beat is held outside until its last part is used.
//   Output      CHANNELS accumulators, PE a beat, NF beats; the first channel at the LSB.
//   Weights     WEIGHTS_FILE, read by $readmemh, NF*SF words. Word nf*SF + sf holds W[nf*PE + pe][tap sf*SIMD + simd] at
//               bit (pe*SIMD + simd) * WEIGHT_BITS, two's complement; WEIGHT_BITS = 1 is bipolar: 1 is +1, 0 is -1.
//   Styles      RAM_STYLE, MULT_STYLE, DSP_A_BITS and ACT_BIPOLAR: see dot_product, which does the arithmetic. Each channel
//               has activations of its own, so no two products share a DSP slice.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers. The whole pipeline moves when
//               m_axis_tready || !m_axis_tvalid; s_axis_tready is that, in the same cycle, and with WHOLE_WINDOW low
//               until the last part.
//   Latency     2 + ceil(log2(SIMD)) + (SF > 1) cycles from the last input beat of PE channels to their output beat.
//               With WHOLE_WINDOW the parts of a window are used in consecutive cycles from the one in which it is
//               offered.
//   Interval    SF*NF cycles a window, without a bubble.
//   Reset       forgets the window and empties the pipeline.
//   Overflow    arithmetic is modulo 2^ACC_BITS: partial sums may wrap, the result is right if it fits in ACC_BITS.
`default_nettype none

module vvau #(
    parameter int unsigned CHANNELS     = 2,
    parameter int unsigned KERNEL       = 9,
    parameter int unsigned SIMD         = 1,
    parameter int unsigned PE           = 1,
    parameter int unsigned ACT_BITS     = 8,
    parameter int unsigned ACT_SIGNED   = 0,
    parameter int unsigned ACT_BIPOLAR  = 0,
    parameter int unsigned WEIGHT_BITS  = 4,
    parameter int unsigned ACC_BITS     = 16,
    parameter int unsigned WHOLE_WINDOW = 0,
    parameter              WEIGHTS_FILE = "weights.hex",
    parameter              RAM_STYLE    = "auto",
    parameter              MULT_STYLE   = "auto",
    parameter int unsigned DSP_A_BITS   = 25,
    localparam int unsigned InElements  = WHOLE_WINDOW != 0 ? KERNEL * CHANNELS : SIMD * PE
) (
    input  wire logic                            clk,
    input  wire logic                            rst,

    input  wire logic [InElements*ACT_BITS-1:0]  s_axis_tdata,
    input  wire logic                            s_axis_tvalid,
    output logic                                 s_axis_tready,

    output logic [PE*ACC_BITS-1:0]               m_axis_tdata,
    output logic                                 m_axis_tvalid,
    input  wire logic                            m_axis_tready
);
  if (SIMD < 1 || KERNEL < 1 || KERNEL % SIMD != 0) begin : gen_simd_error
    $error("vvau: KERNEL must be a multiple of SIMD, and both at least 1");
  end
  if (PE < 1 || CHANNELS < 1 || CHANNELS % PE != 0) begin : gen_pe_error
    $error("vvau: CHANNELS must be a multiple of PE, and both at least 1");
  end
  if (WHOLE_WINDOW > 1) begin : gen_flag_error
    $error("vvau: WHOLE_WINDOW must be 0 or 1");
  end

  localparam int unsigned Sf     = KERNEL / SIMD;
  localparam int unsigned Nf     = CHANNELS / PE;
  localparam int unsigned SfBits = Sf > 1 ? $clog2(Sf) : 1;

  logic [SfBits-1:0]           sf;
  logic                        last_beat, last_word, beat_ready;
  logic [SIMD*PE*ACT_BITS-1:0] beat;

  if (WHOLE_WINDOW != 0) begin : gen_select
    localparam int unsigned PartBits = PE * ACT_BITS;
    localparam int unsigned NfBits   = Nf > 1 ? $clog2(Nf) : 1;
    logic [NfBits-1:0] nf_q;
    wire [KERNEL-1:0][Nf-1:0][PartBits-1:0] window = s_axis_tdata;

    assign s_axis_tready = beat_ready && last_word;

    always_ff @(posedge clk) begin
      if (s_axis_tvalid && beat_ready && last_beat) nf_q <= last_word ? '0 : nf_q + 1'b1;
      if (rst) nf_q <= '0;
    end

    for (genvar i = 0; i < SIMD; i++) begin : gen_tap
      // The taps that lane i sees in its turns.
      logic [Sf-1:0][PartBits-1:0] turns;
      for (genvar turn = 0; turn < Sf; turn++) begin : gen_turn
        assign turns[turn] = window[turn*SIMD + i][nf_q];
      end
      assign beat[i*PartBits +: PartBits] = turns[sf];
    end
  end else begin : gen_folded
    assign s_axis_tready = beat_ready;
    assign beat          = s_axis_tdata;
    wire unused = &{1'b0, sf, last_beat, last_word};
  end

  dot_product #(
      .NF(Nf), .SF(Sf), .SIMD(SIMD), .PE(PE), .ACT_BITS(ACT_BITS), .ACT_SIGNED(ACT_SIGNED), .ACT_BIPOLAR(ACT_BIPOLAR),
      .SHARED_ACT(0), .WEIGHT_BITS(WEIGHT_BITS), .ACC_BITS(ACC_BITS), .WEIGHTS_FILE(WEIGHTS_FILE), .RAM_STYLE(RAM_STYLE),
      .MULT_STYLE(MULT_STYLE), .DSP_A_BITS(DSP_A_BITS)
  ) u_dot_product (
      .clk, .rst,
      .s_axis_tdata(beat), .s_axis_tvalid, .s_axis_tready(beat_ready),
      .sf, .last_beat, .last_word,
      .m_axis_tdata, .m_axis_tvalid, .m_axis_tready
  );

endmodule

`default_nettype wire
