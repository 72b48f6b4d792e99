// SPDX-License-Identifier: Apache-2.0
//
// depthwise_layer: windows of PE channels a beat, tap by tap, straight into vvau or, with POOL = 1, into max_pool_folded.
`default_nettype none

module depthwise_layer #(
    parameter int unsigned IFM_H        = 4,
    parameter int unsigned IFM_W        = 4,
    parameter int unsigned CHANNELS     = 2,
    parameter int unsigned PE           = 1,
    parameter int unsigned BITS         = 4,
    parameter int unsigned K            = 3,
    parameter int unsigned STRIDE       = 1,
    parameter int unsigned POOL         = 0,
    parameter              WEIGHTS_FILE = "weights.hex",
    localparam int unsigned OutBits     = POOL != 0 ? BITS : 16
) (
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic [PE*BITS-1:0]     s_axis_tdata,
    input  wire logic                   s_axis_tvalid,
    output logic                        s_axis_tready,

    output logic [PE*OutBits-1:0]       m_axis_tdata,
    output logic                        m_axis_tvalid,
    input  wire logic                   m_axis_tready
);
  logic [PE*BITS-1:0] taps;
  logic               taps_valid, taps_ready;

  sliding_window_folded #(
      .IFM_H(IFM_H), .IFM_W(IFM_W), .CHANNELS(CHANNELS), .SIMD(PE), .BITS(BITS), .K_H(K), .K_W(K), .STRIDE_H(STRIDE),
      .STRIDE_W(STRIDE), .DEPTHWISE(1)
  ) u_window (
      .clk, .rst, .s_axis_tdata, .s_axis_tvalid, .s_axis_tready,
      .m_axis_tdata(taps), .m_axis_tvalid(taps_valid), .m_axis_tready(taps_ready)
  );

  if (POOL != 0) begin : gen_pool
    max_pool_folded #(.PE(PE), .BITS(BITS), .WINDOW(K*K)) u_pool (
        .clk, .rst, .s_axis_tdata(taps), .s_axis_tvalid(taps_valid), .s_axis_tready(taps_ready),
        .m_axis_tdata, .m_axis_tvalid, .m_axis_tready
    );
  end else begin : gen_vvau
    vvau #(
        .CHANNELS(CHANNELS), .KERNEL(K*K), .SIMD(1), .PE(PE), .ACT_BITS(BITS), .WEIGHT_BITS(4), .ACC_BITS(16),
        .WEIGHTS_FILE(WEIGHTS_FILE)
    ) u_vvau (
        .clk, .rst, .s_axis_tdata(taps), .s_axis_tvalid(taps_valid), .s_axis_tready(taps_ready),
        .m_axis_tdata, .m_axis_tvalid, .m_axis_tready
    );
  end
endmodule

`default_nettype wire
