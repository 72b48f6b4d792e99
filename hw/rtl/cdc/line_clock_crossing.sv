// SPDX-License-Identifier: Apache-2.0
//
// line_clock_crossing: lines from a camera or converter with a clock of its own, to the sorter's clock, with their time.
//
//   Input       s_axis_line: beats of lines, tlast with the last beat of each, of s_clk. It cannot be told to wait, as light cannot.
//   Output      m_axis_line: what s_axis_line of the sorter takes, of m_clk, the sorter's clock; tuser of a line's first beat is {line number,
//               time} by `timestamp`, the sorter's.
//   Time        the sorter's cycle into which the edge of s_clk falls that takes the line's first beat; where that edge falls together
//               with one of m_clk, the cycle before or behind it. So it is exact to 1 cycle, however long the line waits here.
//   Rate        two lines begin at least 4 cycles of s_clk plus 4 of m_clk apart. The time of one that begins earlier is not known: it gets
//               that of the line before it, which the sorter takes for a gap, so that no cell of it is sorted.
//   Overflow    a beat that finds no room is lost with the rest of its line: `lost` is high for a cycle of s_clk. The line is short, or
//               missing, and its number with it: the sorter counts it as an error or a gap and sorts no cell of it. m_clk must be fast
//               enough for the beats; DEPTH covers what comes unevenly.
//   Latency     4 to 6 cycles of m_clk from that edge to m_axis_line_tvalid.
//   Reset       `rst` of any clock: what is inside is lost, the next beat is the first of line 0. Reset it with the sorter.
`default_nettype none

module line_clock_crossing #(
    parameter int unsigned WIDTH = 48,
    parameter int unsigned DEPTH = 32
) (
    input  wire logic             rst,

    input  wire logic             s_clk,
    input  wire logic [WIDTH-1:0] s_axis_line_tdata,
    input  wire logic             s_axis_line_tvalid,
    input  wire logic             s_axis_line_tlast,
    output logic                  lost,

    input  wire logic             m_clk,
    input  wire logic [47:0]      timestamp,
    output logic [WIDTH-1:0]      m_axis_line_tdata,
    output logic                  m_axis_line_tvalid,
    input  wire logic             m_axis_line_tready,
    output logic                  m_axis_line_tlast,
    output logic [63:0]           m_axis_line_tuser
);
  localparam logic [47:0] Crossing = 48'd2;  // cycles of m_clk that pulse_synchronizer takes

  logic s_rst, m_rst;

  reset_synchronizer #(.CYCLES(3)) s_reset (.clk(s_clk), .ready(!rst), .rst(s_rst));
  reset_synchronizer #(.CYCLES(3)) m_reset (.clk(m_clk), .ready(!rst), .rst(m_rst));

  // ---------------------------------------------------------------- the camera's side
  logic        first_q, drop_q;  // the next beat begins a line; the rest of the line is lost
  logic [15:0] number_q;
  logic        room, can_time;

  wire offered = s_axis_line_tvalid && !s_rst && !drop_q;
  wire take    = offered && room;

  assign lost = offered && !room;

  always_ff @(posedge s_clk or posedge s_rst) begin
    if (s_rst) begin
      first_q  <= 1'b1;
      drop_q   <= 1'b0;
      number_q <= '0;
    end else if (s_axis_line_tvalid) begin
      first_q <= s_axis_line_tlast;
      drop_q  <= (drop_q || lost) && !s_axis_line_tlast;
      if (s_axis_line_tlast) number_q <= number_q + 1'b1;
    end
  end

  logic             head_valid, head_ready, head_last, head_first, head_timed, began;
  logic [15:0]      head_number;
  logic [WIDTH-1:0] head_data;

  pulse_synchronizer beginning (
      .rst,
      .s_clk,
      .s_pulse (take && first_q),
      .s_ready (can_time),
      .m_clk,
      .m_pulse (began)
  );

  async_fifo #(
      .WIDTH (WIDTH + 19),
      .DEPTH (DEPTH)
  ) beats (
      .rst,
      .s_clk,
      .s_axis_tdata  ({number_q, can_time, first_q, s_axis_line_tlast, s_axis_line_tdata}),
      .s_axis_tvalid (offered),
      .s_axis_tready (room),
      .m_clk,
      .m_axis_tdata  ({head_number, head_timed, head_first, head_last, head_data}),
      .m_axis_tvalid (head_valid),
      .m_axis_tready (head_ready)
  );

  // ---------------------------------------------------------------- the sorter's side: as many times wait as lines may
  logic        time_valid, time_room;
  logic [47:0] time_next, time_q;

  wire needs_time = head_first && head_timed;

  /* verilator lint_off PINCONNECTEMPTY */
  fifo #(
      .WIDTH (48),
      .DEPTH (DEPTH + 2),
      .RAM_STYLE ("distributed")
  ) times (
      .clk           (m_clk),
      .rst           (m_rst),
      .s_axis_tdata  (timestamp - Crossing),
      .s_axis_tvalid (began),
      .s_axis_tready (time_room),
      .m_axis_tdata  (time_next),
      .m_axis_tvalid (time_valid),
      .m_axis_tready (m_axis_line_tvalid && m_axis_line_tready && needs_time),
      .count         ()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  always_ff @(posedge m_clk) if (m_axis_line_tvalid && m_axis_line_tready && needs_time) time_q <= time_next;

  assign m_axis_line_tvalid = head_valid && (!needs_time || time_valid);
  assign head_ready         = m_axis_line_tready && (!needs_time || time_valid);
  assign m_axis_line_tdata  = head_data;
  assign m_axis_line_tlast  = head_last;
  assign m_axis_line_tuser  = {head_number, needs_time ? time_next : time_q};

  // Of a line that is here, or on its way, there is at most one time.
  assert property (@(posedge m_clk) disable iff (m_rst) !began || time_room);

  line_without_time: cover property (@(posedge s_clk) disable iff (s_rst) take && first_q && !can_time);
  line_cut: cover property (@(posedge s_clk) disable iff (s_rst) lost && !first_q);
  line_lost: cover property (@(posedge s_clk) disable iff (s_rst) lost && first_q);

endmodule

`default_nettype wire
