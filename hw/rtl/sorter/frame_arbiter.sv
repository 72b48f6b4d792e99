// SPDX-License-Identifier: Apache-2.0
//
// frame_arbiter: frames of several sources one behind the other, none within another.
//
//   Handshake   AXI4-Stream of 32-bit words on both sides, a frame a packet; source 0 at the LSB of each port. A word that is offered stays
//               until it is taken, also where a source that goes first offers one meanwhile.
//   Order       between frames: the lowest source that offers a word. A frame that has begun is finished first, whatever pauses it makes.
//   Latency     none: what is offered is offered on. Interval: a word a cycle.
//   Reset       between two frames: the sources drop theirs.
//   Overflow    none: sources wait.
`default_nettype none

module frame_arbiter #(
    parameter int unsigned SOURCES = 2
) (
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic [SOURCES*32-1:0]  s_axis_tdata,
    input  wire logic [SOURCES-1:0]     s_axis_tvalid,
    output logic [SOURCES-1:0]          s_axis_tready,
    input  wire logic [SOURCES-1:0]     s_axis_tlast,
    input  wire logic [SOURCES*8-1:0]   s_axis_tuser,

    output logic [31:0]                 m_axis_tdata,
    output logic                        m_axis_tvalid,
    input  wire logic                   m_axis_tready,
    output logic                        m_axis_tlast,
    output logic [7:0]                  m_axis_tuser
);
  if (SOURCES < 2) begin : gen_size_error
    $error("frame_arbiter: SOURCES must be at least 2");
  end

  localparam int unsigned Bits = $clog2(SOURCES);

  logic            begun_q;   // a frame of source_q is offered or under way
  logic [Bits-1:0] source_q, source;

  always_comb begin
    source = source_q;
    if (!begun_q) begin
      source = '0;
      for (int unsigned i = SOURCES; i > 0; i--) begin
        if (s_axis_tvalid[i-1]) source = Bits'(i - 1);
      end
    end
    s_axis_tready         = '0;
    s_axis_tready[source] = m_axis_tready;
  end

  assign m_axis_tdata  = s_axis_tdata[source*32+:32];
  assign m_axis_tvalid = s_axis_tvalid[source];
  assign m_axis_tlast  = s_axis_tlast[source];
  assign m_axis_tuser  = s_axis_tuser[source*8+:8];

  always_ff @(posedge clk) begin
    source_q <= source;
    if (m_axis_tvalid) begun_q <= !(m_axis_tready && m_axis_tlast);
    if (rst) begun_q <= 1'b0;
  end

endmodule

`default_nettype wire
