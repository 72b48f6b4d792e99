// SPDX-License-Identifier: Apache-2.0
//
// cell_intake: the cells that the light has seen, on their way to the scheduler: each with its time, or in droplet mode its place among drops.
//
//   s_cell      a pulse for each cell, in the order of their lights: its time, whether it is an accepted event (else a neighbour alone:
//               debris, missed, in dead time), and whether its time is doubtful. No ready.
//   m_cell      valid/ready, the same with its position: the time (valve), or {drop, phase} (droplet).
//   Latency     2 cycles (valve), that of drop_position + 3 (droplet).
//   restart     what is inside belongs to settings of before: it leaves as doubtful.
//   Overflow    DEPTH cells wait. Neighbours take half of it at most, so that events, of which there are never more than DEPTH / 2
//               undecided, always find room (asserted). A neighbour that finds none is lost: a pulse of `lost`, which is a fault.
//   Reset       empty.
`default_nettype none

module cell_intake
  import icsort_pkg::*;
#(
    parameter int unsigned DEPTH = 32,
    localparam int unsigned CountBits = $clog2(DEPTH + 1)
) (
    input  wire logic                  clk,
    input  wire logic                  rst,

    input  wire logic                  droplet,
    input  wire logic                  restart,

    input  wire logic                  s_cell_valid,
    input  wire logic                  s_cell_event,
    input  wire logic                  s_cell_doubtful,
    input  wire logic [TIME_BITS-1:0]  s_cell_time,
    output logic                       lost,
    output logic                       empty,

    output logic                       m_cell_valid,
    input  wire logic                  m_cell_ready,
    output logic                       m_cell_event,
    output logic                       m_cell_doubtful,
    output logic [TIME_BITS-1:0]       m_cell_position,

    output logic                       locate,          // to drop_position
    output logic [TIME_BITS-1:0]       locate_time,
    input  wire logic                  located,
    input  wire logic [TIME_BITS-1:0]  located_position,
    input  wire logic                  located_doubtful
);
  logic                   cell_valid, cell_event, cell_doubtful, has_room, taken;
  logic [TIME_BITS-1:0]   cell_time;
  logic [CountBits-1:0]   count, stale_q;
  logic                   asking_q;

  wire room = s_cell_event || count < CountBits'(DEPTH / 2);
  wire pop  = cell_valid && taken;

  fifo #(
      .WIDTH     (TIME_BITS + 2),
      .DEPTH     (DEPTH),
      .RAM_STYLE ("distributed")
  ) cells (
      .clk,
      .rst,
      .s_axis_tdata  ({s_cell_event, s_cell_doubtful, s_cell_time}),
      .s_axis_tvalid (s_cell_valid && room),
      .s_axis_tready (has_room),
      .m_axis_tdata  ({cell_event, cell_doubtful, cell_time}),
      .m_axis_tvalid (cell_valid),
      .m_axis_tready (taken),
      .count
  );

  assign empty       = !cell_valid && !m_cell_valid;
  assign taken       = !m_cell_valid && (droplet ? located && asking_q : !asking_q);
  assign locate      = droplet && cell_valid && !m_cell_valid && !asking_q;
  assign locate_time = cell_time;

  always_ff @(posedge clk) begin
    lost <= s_cell_valid && !(room && has_room);
    if (locate) asking_q <= 1'b1;
    if (located) asking_q <= 1'b0;
    if (m_cell_ready) m_cell_valid <= 1'b0;
    if (pop) begin
      m_cell_valid    <= 1'b1;
      m_cell_event    <= cell_event;
      m_cell_doubtful <= cell_doubtful || stale_q != '0 || restart || (droplet && located_doubtful);
      m_cell_position <= droplet ? located_position : cell_time;
      if (stale_q != '0) stale_q <= stale_q - 1'b1;
    end
    if (restart) begin
      stale_q         <= count + CountBits'(s_cell_valid && room && has_room) - CountBits'(pop);
      m_cell_doubtful <= 1'b1;
    end
    if (rst) begin
      m_cell_valid <= 1'b0;
      asking_q     <= 1'b0;
      stale_q      <= '0;
      lost         <= 1'b0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !(s_cell_valid && s_cell_event) || has_room);

  neighbour_lost: cover property (@(posedge clk) disable iff (rst) lost);
  restart_with_cells_inside: cover property (@(posedge clk) disable iff (rst) restart && cell_valid);
  cell_waits: cover property (@(posedge clk) disable iff (rst) m_cell_valid && !m_cell_ready && cell_valid);
  doubtful_cell: cover property (@(posedge clk) disable iff (rst) pop && cell_doubtful);

endmodule

`default_nettype wire
