// SPDX-License-Identifier: Apache-2.0
//
// board_sorter: the compiled sorter on a board: reset, status lights, and no line stream but that of the sorter's own line source.
//
//   Lines       s_axis_line is tied off: lines are those that the host stores (`icsort play`). Who has lines of his own brings them in here;
//               icsort_top says how they must come.
//   Reset       while `locked` is low (of any clock: the clock's PLL), and 8 cycles behind it.
//   sort_out    low in reset. Until the FPGA is configured the pins are open: the board, or what is wired to it, must pull them down.
//   interlock   high while the sorter may be armed; of any clock, as is drop_clock.
//   lights      those of board_lights.
`default_nettype none

module board_sorter #(
    parameter int unsigned LIGHT_BITS = 21
) (
    input  wire logic       clk,
    input  wire logic       locked,

    input  wire logic       uart_rx,
    output logic            uart_tx,
    input  wire logic       interlock,
    input  wire logic       drop_clock,
    output logic      [5:0] sort_out,

    output logic      [5:0] lights
);

  // ---------------------------------------------------------------- reset: begins at once, ends with the clock
  logic rst;

  reset_synchronizer u_reset (
      .clk,
      .ready (locked),
      .rst
  );

  // ---------------------------------------------------------------- sorter
  logic [5:0] sort;
  logic       armed, fault, one_event, closed;

  assign sort_out = sort & {6{!rst}};

  /* verilator lint_off PINCONNECTEMPTY */
  icsort_build sorter (
      .clk,
      .rst,
      .s_axis_line_tdata  ('0),
      .s_axis_line_tvalid (1'b0),
      .s_axis_line_tready (),
      .s_axis_line_tlast  (1'b0),
      .s_axis_line_tuser  ('0),
      .timestamp          (),
      .uart_rx,
      .uart_tx,
      .interlock,
      .drop_clock,
      .sort_out           (sort),
      .mon_armed          (armed),
      .mon_fault          (fault),
      .mon_idle           (),
      .mon_event          (one_event),
      .mon_decision       (),
      .mon_record_tdata   (),
      .mon_record_tvalid  (),
      .mon_record_tlast   (),
      .mon_stream_line    (),
      .mon_stream_net_in  (),
      .mon_stream_net_out ()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  // ---------------------------------------------------------------- lights
  synchronizer u_closed (
      .clk,
      .pin   (interlock),
      .level (closed)
  );

  board_lights #(
      .LIGHT_BITS (LIGHT_BITS)
  ) u_lights (
      .clk,
      .rst,
      .armed,
      .fault,
      .closed,
      .one_event,
      .sort,
      .lights
  );

endmodule

`default_nettype wire
