// SPDX-License-Identifier: Apache-2.0
//
// icsort_build for the bench of board_sorter: the ports of a build, with outputs that the bench sets.
`default_nettype none
/* verilator lint_off UNUSEDSIGNAL */

module icsort_build (
    input  wire logic        clk,
    input  wire logic        rst,
    input  wire logic [95:0] s_axis_line_tdata,
    input  wire logic        s_axis_line_tvalid,
    output logic             s_axis_line_tready,
    input  wire logic        s_axis_line_tlast,
    input  wire logic [63:0] s_axis_line_tuser,
    output logic      [47:0] timestamp,
    input  wire logic        uart_rx,
    output logic             uart_tx,
    input  wire logic        interlock,
    input  wire logic        drop_clock,
    output logic      [5:0]  sort_out,
    output logic             mon_armed,
    output logic             mon_fault,
    output logic             mon_idle,
    output logic             mon_event,
    output logic             mon_decision,
    output logic      [31:0] mon_record_tdata,
    output logic             mon_record_tvalid,
    output logic             mon_record_tlast,
    output logic             mon_stream_line,
    output logic             mon_stream_net_in,
    output logic             mon_stream_net_out
);
  logic [5:0] sort;
  logic       armed, fault, one_event;

  initial {sort, armed, fault, one_event} = '0;

  assign s_axis_line_tready = 1'b1;
  assign timestamp          = '0;
  assign uart_tx            = !uart_rx;
  assign sort_out           = sort;
  assign mon_armed          = armed;
  assign mon_fault          = fault;
  assign mon_event          = one_event;
  assign {mon_idle, mon_decision, mon_record_tdata, mon_record_tvalid, mon_record_tlast} = '0;
  assign {mon_stream_line, mon_stream_net_in, mon_stream_net_out}                        = '0;
endmodule

`default_nettype wire
