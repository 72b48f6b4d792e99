// SPDX-License-Identifier: Apache-2.0
//
// icsort_net: stands in for a compiled network in the sorter's benches. Python twin: tests.hw.sorter.reference.stub_logits.
//
//   6 x 8 pixels of 2 channels in, 4 logits of 16 bits out, each a signed sum of pixels: channel 0 - channel 1, its negative,
//   even rows - odd rows, its negative. Up to 32 results wait. A bench
//   may set `hold`, which keeps results from leaving, and `stall`, which keeps pixels from entering.
`default_nettype none

module icsort_net (
    input  wire logic         clk,
    input  wire logic         rst,

    input  wire logic [15:0]  s_axis_tdata,
    input  wire logic         s_axis_tvalid,
    output logic              s_axis_tready,

    output logic [63:0]       m_axis_tdata,
    output logic              m_axis_tvalid,
    input  wire logic         m_axis_tready
);
  logic               hold, stall;
  logic [5:0]         pixel_q;      // 0 .. 47
  logic signed [15:0] channels_q, rows_q;
  logic               valid_q, fifo_valid, ready;
  logic [63:0]        logits_q;
  logic [5:0]         count;

  initial hold = 1'b0;
  initial stall = 1'b0;

  wire signed [15:0] first    = $signed({8'd0, s_axis_tdata[7:0]});
  wire signed [15:0] second   = $signed({8'd0, s_axis_tdata[15:8]});
  wire signed [15:0] channels = channels_q + first - second;
  wire signed [15:0] rows     = pixel_q[3] ? rows_q - first - second : rows_q + first + second;
  wire               take     = s_axis_tvalid && s_axis_tready;
  wire               last     = pixel_q == 6'd47;

  assign s_axis_tready = count < 6'd30 && !stall;
  assign m_axis_tvalid = fifo_valid && !hold;

  fifo #(
      .WIDTH (64),
      .DEPTH (32)
  ) results (
      .clk,
      .rst,
      .s_axis_tdata  (logits_q),
      .s_axis_tvalid (valid_q),
      .s_axis_tready (ready),
      .m_axis_tdata,
      .m_axis_tvalid (fifo_valid),
      .m_axis_tready (m_axis_tready && !hold),
      .count
  );

  always_ff @(posedge clk) begin
    valid_q <= take && last;
    if (take) begin
      logits_q   <= {-rows, rows, -channels, channels};
      channels_q <= last ? '0 : channels;
      rows_q     <= last ? '0 : rows;
      pixel_q    <= last ? '0 : pixel_q + 1'b1;
    end
    if (rst) begin
      valid_q    <= 1'b0;
      channels_q <= '0;
      rows_q     <= '0;
      pixel_q    <= '0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !valid_q || ready);

endmodule

`default_nettype wire
