// SPDX-License-Identifier: Apache-2.0
//
// statistics: all counters of one moment as a frame of its own, once a period, for a host that need not ask.
//
//   Period      cycles from one moment to the next; a change counts from the moment before, two cycles late. 0: none.
//   Frame       AXI4-Stream, one frame a packet: the structure statistics_head_t of icsort_pkg, then the counters, 32 bits each, counter 0 first.
//               Time, state and all counters are those of one cycle. `number` counts moments since reset, those without a frame too.
//   Latency     2 cycles from the moment to the first word offered. Interval: a word every 2 cycles, so that what is ready chooses no word.
//   Overflow    a moment that comes while the frame of the one before has not wholly left has none: `lost` pulses, the frame under way stays
//               what it is. Nothing waits for this block.
//   Reset       a frame under way is lost, `number` starts again at 0, the first moment is a period and two cycles behind
//               the reset.
`default_nettype none

module statistics
  import icsort_pkg::*;
#(
    parameter int unsigned COUNTERS = 1
) (
    input  wire logic                    clk,
    input  wire logic                    rst,

    input  wire logic [31:0]             period,
    input  wire logic [TIME_BITS-1:0]    timestamp,
    input  wire logic [15:0]             state,
    input  wire logic [COUNTERS*32-1:0]  counters,

    output logic [31:0]                  m_axis_tdata,
    output logic                         m_axis_tvalid,
    input  wire logic                    m_axis_tready,
    output logic                         m_axis_tlast,

    output logic                         lost
);
  if (COUNTERS < 1) begin : gen_size_error
    $error("statistics: COUNTERS must be at least 1");
  end

  localparam int unsigned Words     = $bits(statistics_head_t) / 32 + COUNTERS;
  localparam int unsigned IndexBits = $clog2(Words);

  logic [31:0]            last_q, elapsed_q, number_q;
  logic                   on_q, moment_q;
  logic [Words-1:0][31:0] frame_q;
  logic [IndexBits-1:0]   index_q;    // of the next word
  logic                   to_send_q;  // there is one

  wire due    = on_q && elapsed_q >= last_q;
  wire busy   = to_send_q || m_axis_tvalid;
  wire fetch  = to_send_q && !m_axis_tvalid;

  statistics_head_t head;
  assign head = '{state: state, taken_at: timestamp, number: number_q};

  always_ff @(posedge clk) begin
    last_q    <= period - 1'b1;
    on_q      <= period != '0;
    moment_q  <= due;
    elapsed_q <= due || !on_q ? '0 : elapsed_q + 1'b1;
    if (moment_q) number_q <= number_q + 1'b1;
    lost <= moment_q && busy;

    if (moment_q && !busy) begin
      frame_q   <= {counters, head};
      to_send_q <= 1'b1;
      index_q   <= '0;
    end
    if (m_axis_tready) m_axis_tvalid <= 1'b0;
    if (fetch) begin
      m_axis_tdata  <= frame_q[index_q];
      m_axis_tlast  <= index_q == IndexBits'(Words - 1);
      m_axis_tvalid <= 1'b1;
      to_send_q     <= index_q != IndexBits'(Words - 1);
      index_q       <= index_q + 1'b1;
    end

    if (rst) begin
      on_q          <= 1'b0;
      moment_q      <= 1'b0;
      elapsed_q     <= '0;
      number_q      <= '0;
      to_send_q     <= 1'b0;
      m_axis_tvalid <= 1'b0;
      lost          <= 1'b0;
    end
  end

endmodule

`default_nettype wire
