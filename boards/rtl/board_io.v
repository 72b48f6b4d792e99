// SPDX-License-Identifier: Apache-2.0
//
// board_io: between the pins of a board and the sorter beside its processor. Verilog, as a block design takes no SystemVerilog on its face.
//
//   closed      to the sorter: the interlock is closed, by its pin or by the switch, and the button is not pressed.
//   sort_out    low in reset and while the clock is not locked.
//   led         0: beats. 1: armed. 2: a fault is set. 3: a sort pulse.
`default_nettype none

module board_io (
    (* X_INTERFACE_IGNORE = "true" *) input  wire       clk,
    (* X_INTERFACE_IGNORE = "true" *) input  wire       aresetn,
    input  wire       locked,

    input  wire       armed,
    input  wire       fault,
    input  wire       one_event,
    input  wire [5:0] sort,
    output wire       closed,

    input  wire       button,
    input  wire       switch_0,
    input  wire       interlock,
    output wire [5:0] sort_out,
    output wire [3:0] led
);

  /* verilator lint_off UNUSEDSIGNAL */  // six lights, four LEDs
  wire [5:0] lights;
  /* verilator lint_on UNUSEDSIGNAL */

  board_lights u_lights (
      .clk       (clk),
      .rst       (!aresetn),
      .armed     (armed),
      .fault     (fault),
      .closed    (1'b0),  // no light of these boards
      .one_event (one_event),
      .sort      (sort),
      .lights    (lights)
  );

  assign closed   = (interlock || switch_0) && !button;
  assign sort_out = sort & {6{aresetn && locked}};
  assign led      = {lights[5], lights[2:0]};

endmodule

`default_nettype wire
