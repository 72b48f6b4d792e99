// SPDX-License-Identifier: Apache-2.0
//
// stream_concat: the channels of two streams, pixel by pixel (FINN: StreamingConcat of two inputs).
//
//   Input       two streams, a whole pixel a beat: LHS_WIDTH bits of the left one, RHS_WIDTH of the right one.
//   Output      a whole pixel a beat: the left channels at the LSB, the right ones above them.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers. A beat is taken from both sides at
//               once: each tready is high when the other side is valid and m_axis_tready || !m_axis_tvalid, in
//               the same cycle.
//   Latency     1 cycle from the later one of the two beats.
//   Interval    one beat a cycle.
//   Reset       forgets the pixel that waits.
`default_nettype none

module stream_concat #(
    parameter int unsigned LHS_WIDTH = 8,
    parameter int unsigned RHS_WIDTH = 8
) (
    input  wire logic                           clk,
    input  wire logic                           rst,

    input  wire logic [LHS_WIDTH-1:0]           s_axis_lhs_tdata,
    input  wire logic                           s_axis_lhs_tvalid,
    output logic                                s_axis_lhs_tready,

    input  wire logic [RHS_WIDTH-1:0]           s_axis_rhs_tdata,
    input  wire logic                           s_axis_rhs_tvalid,
    output logic                                s_axis_rhs_tready,

    output logic [LHS_WIDTH+RHS_WIDTH-1:0]      m_axis_tdata,
    output logic                                m_axis_tvalid,
    input  wire logic                           m_axis_tready
);
  if (LHS_WIDTH < 1 || RHS_WIDTH < 1) begin : gen_size_error
    $error("stream_concat: LHS_WIDTH and RHS_WIDTH must be at least 1");
  end

  wire enable = m_axis_tready || !m_axis_tvalid;
  wire take   = enable && s_axis_lhs_tvalid && s_axis_rhs_tvalid;

  assign s_axis_lhs_tready = enable && s_axis_rhs_tvalid;
  assign s_axis_rhs_tready = enable && s_axis_lhs_tvalid;

  always_ff @(posedge clk) begin
    if (enable) m_axis_tvalid <= take;
    if (take) m_axis_tdata <= {s_axis_rhs_tdata, s_axis_lhs_tdata};
    if (rst) m_axis_tvalid <= 1'b0;
  end

endmodule

`default_nettype wire
