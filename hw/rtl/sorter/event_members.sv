// SPDX-License-Identifier: Apache-2.0
//
// event_members: the lines of each event, one after the other, for what adds up over them.
//
//   m_member    {tag, line, first, last}: the number of the line since reset, modulo 256, and whether it is the event's first or last.
//               A line comes as soon as it is known to belong to the event and a further one is, or the event has ended.
//   Events      as event_trigger tells them: begin_valid, rows_here in between, end_valid. Up to EVENTS that are not through; begin_ready
//               is low where there are as many.
//   Handshake   m_member is valid/ready, one a cycle.
//   Latency     4 cycles from begin_valid to the first line; 3 from end_valid to the last.
//   Reset       empty.
`default_nettype none

module event_members #(
    parameter int unsigned EVENTS = 16
) (
    input  wire logic       clk,
    input  wire logic       rst,

    input  wire logic       begin_valid,
    output logic            begin_ready,
    input  wire logic [7:0] begin_tag,
    input  wire logic [7:0] begin_line,
    input  wire logic [5:0] begin_skip,
    input  wire logic [8:0] rows_here,

    input  wire logic       end_valid,
    input  wire logic [8:0] end_rows,

    output logic [7:0]      m_member_tag,
    output logic [7:0]      m_member_line,
    output logic            m_member_first,
    output logic            m_member_last,
    output logic            m_member_valid,
    input  wire logic       m_member_ready
);
  localparam int unsigned CountBits = $clog2(EVENTS + 1);

  logic [7:0]           head_tag, head_line;
  logic [5:0]           head_skip;
  logic                 head_valid, ended, pop;
  logic [8:0]           total;
  logic [CountBits-1:0] begun_count, ended_count;
  logic                 ended_ready;

  fifo #(
      .WIDTH (22),
      .DEPTH (EVENTS)
  ) begun (
      .clk,
      .rst,
      .s_axis_tdata  ({begin_skip, begin_line, begin_tag}),
      .s_axis_tvalid (begin_valid),
      .s_axis_tready (begin_ready),
      .m_axis_tdata  ({head_skip, head_line, head_tag}),
      .m_axis_tvalid (head_valid),
      .m_axis_tready (pop),
      .count         (begun_count)
  );

  fifo #(
      .WIDTH (9),
      .DEPTH (EVENTS)
  ) finished (
      .clk,
      .rst,
      .s_axis_tdata  (end_rows),
      .s_axis_tvalid (end_valid),
      .s_axis_tready (ended_ready),
      .m_axis_tdata  (total),
      .m_axis_tvalid (ended),
      .m_axis_tready (pop),
      .count         (ended_count)
  );

  logic       busy_q;
  logic [8:0] row_q, known_q;
  logic       ended_q, first_q;
  logic [7:0] tag_q, line_q;

  wire move  = m_member_ready || !m_member_valid;
  wire last  = ended_q && row_q + 9'd1 == known_q;
  wire offer = busy_q && (last || row_q + 9'd1 < known_q);

  assign pop = busy_q && move && offer && last;

  always_ff @(posedge clk) begin
    if (!busy_q) begin
      busy_q  <= head_valid;
      row_q   <= 9'(head_skip);
      line_q  <= head_line + 8'(head_skip);
      tag_q   <= head_tag;
      first_q <= 1'b1;
      known_q <= '0;
      ended_q <= 1'b0;
    end else begin
      known_q <= ended ? total : rows_here;
      ended_q <= ended;
      if (move && offer) begin
        row_q   <= row_q + 1'b1;
        line_q  <= line_q + 1'b1;
        first_q <= 1'b0;
        if (last) busy_q <= 1'b0;
      end
    end
    if (move) begin
      m_member_valid <= offer;
      m_member_tag   <= tag_q;
      m_member_line  <= line_q;
      m_member_first <= first_q;
      m_member_last  <= last;
    end
    if (rst) begin
      busy_q         <= 1'b0;
      m_member_valid <= 1'b0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !begin_valid || begin_ready);
  assert property (@(posedge clk) disable iff (rst) !end_valid || ended_ready);
  assert property (@(posedge clk) disable iff (rst) ended_count <= begun_count);
  // An event has a line, and has not more of them when it has ended than were known before.
  assert property (@(posedge clk) disable iff (rst) !busy_q || !ended_q || row_q < known_q);

endmodule

`default_nettype wire
