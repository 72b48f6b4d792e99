// SPDX-License-Identifier: Apache-2.0
//
// max_pool_folded: the largest of WINDOW elements that come one by one, for PE channels at a time (FINN: Pool with function
// MaxPool and PE below the number of channels).
//
//   Input       windows as a depthwise sliding_window_folded with SIMD = PE sends them: WINDOW beats of PE channels, then
//               the next PE channels; the first channel at the LSB.
//   Output      PE channels a beat, one for WINDOW input beats, in the same order.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers; s_axis_tready is
//               m_axis_tready || !m_axis_tvalid in the same cycle.
//   Latency     1 cycle from the last input beat of PE channels.
//   Interval    one beat a cycle.
//   Memory      the largest so far, which is also what is offered.
//   Reset       the next beat is the first of a window.
//   Overflow    cannot happen: no beat is taken while a result waits.
`default_nettype none

module max_pool_folded #(
    parameter int unsigned PE     = 1,
    parameter int unsigned BITS   = 8,
    parameter int unsigned SIGNED = 0,
    parameter int unsigned WINDOW = 4
) (
    input  wire logic                clk,
    input  wire logic                rst,

    input  wire logic [PE*BITS-1:0]  s_axis_tdata,
    input  wire logic                s_axis_tvalid,
    output logic                     s_axis_tready,

    output logic [PE*BITS-1:0]       m_axis_tdata,
    output logic                     m_axis_tvalid,
    input  wire logic                m_axis_tready
);
  if (PE < 1 || BITS < 1 || WINDOW < 1) begin : gen_size_error
    $error("max_pool_folded: PE, BITS and WINDOW must be at least 1");
  end
  if (SIGNED > 1) begin : gen_signed_error
    $error("max_pool_folded: SIGNED must be 0 or 1");
  end

  localparam int unsigned TapBits = WINDOW > 1 ? $clog2(WINDOW) : 1;

  logic [TapBits-1:0] tap_q;
  wire last_tap = tap_q == TapBits'(WINDOW - 1);
  wire accept   = s_axis_tvalid && s_axis_tready;

  function automatic logic larger(input logic [BITS-1:0] a, input logic [BITS-1:0] b);
    if (SIGNED != 0) return $signed(a) > $signed(b);
    return a > b;
  endfunction

  assign s_axis_tready = m_axis_tready || !m_axis_tvalid;

  always_ff @(posedge clk) begin
    if (s_axis_tready) m_axis_tvalid <= s_axis_tvalid && last_tap;
    if (accept) begin
      tap_q <= last_tap ? '0 : tap_q + 1'b1;
      for (int unsigned pe = 0; pe < PE; pe++) begin
        if (tap_q == '0 || larger(s_axis_tdata[pe*BITS +: BITS], m_axis_tdata[pe*BITS +: BITS])) begin
          m_axis_tdata[pe*BITS +: BITS] <= s_axis_tdata[pe*BITS +: BITS];
        end
      end
    end
    if (rst) begin
      m_axis_tvalid <= 1'b0;
      tap_q         <= '0;
    end
  end

endmodule

`default_nettype wire
