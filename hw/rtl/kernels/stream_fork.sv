// SPDX-License-Identifier: Apache-2.0
//
// stream_fork: OUTPUTS copies of one stream (FINN: DuplicateStreams).
//
//   Output      copy i has bit i of m_axis_tvalid and m_axis_tready, and bits i*WIDTH +: WIDTH of m_axis_tdata.
//   Handshake   AXI4-Stream on each copy by itself: m_axis_tvalid and m_axis_tdata come from registers, and whether one
//               copy is offered or taken depends on no other. s_axis_tready is high when every copy of the beat
//               before is taken, in the same cycle.
//   Latency     1 cycle.
//   Interval    one beat a cycle.
//   Stalls      a copy that is not taken holds back the next beat, never the other copies of this one: the copies are at
//               most one beat apart. Where branches meet again with different delays, a fifo belongs behind the copy
//               of the shorter branch.
//   Reset       forgets the beat inside.
//   Overflow    cannot happen: no beat is taken while a copy waits.
`default_nettype none

module stream_fork #(
    parameter int unsigned WIDTH   = 8,
    parameter int unsigned OUTPUTS = 2
) (
    input  wire logic                      clk,
    input  wire logic                      rst,

    input  wire logic [WIDTH-1:0]          s_axis_tdata,
    input  wire logic                      s_axis_tvalid,
    output logic                           s_axis_tready,

    output logic [OUTPUTS*WIDTH-1:0]       m_axis_tdata,
    output logic [OUTPUTS-1:0]             m_axis_tvalid,
    input  wire logic [OUTPUTS-1:0]        m_axis_tready
);
  if (WIDTH < 1 || OUTPUTS < 1) begin : gen_size_error
    $error("stream_fork: WIDTH and OUTPUTS must be at least 1");
  end

  logic [WIDTH-1:0]   beat_q;
  wire  [OUTPUTS-1:0] waiting = m_axis_tvalid & ~m_axis_tready;

  assign s_axis_tready = waiting == '0;
  assign m_axis_tdata  = {OUTPUTS{beat_q}};

  always_ff @(posedge clk) begin
    if (s_axis_tready && s_axis_tvalid) beat_q <= s_axis_tdata;
    m_axis_tvalid <= s_axis_tready ? {OUTPUTS{s_axis_tvalid}} : waiting;
    if (rst) m_axis_tvalid <= '0;
  end

endmodule

`default_nettype wire
