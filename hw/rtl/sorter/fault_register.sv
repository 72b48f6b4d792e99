// SPDX-License-Identifier: Apache-2.0
//
// fault_register: what went wrong, until somebody has seen it.
//
//   Bit i of `faults` is set by `cause` i, a level or a pulse, and cleared by a pulse of `clear` i; a cause that lasts wins over it.
//   Latency     1 cycle. any: one of them is set.
//   Reset       all 0.
`default_nettype none

module fault_register #(
    parameter int unsigned CAUSES = 4
) (
    input  wire logic               clk,
    input  wire logic               rst,
    input  wire logic [CAUSES-1:0]  cause,
    input  wire logic [CAUSES-1:0]  clear,
    output logic [CAUSES-1:0]       faults,
    output logic                    any
);
  assign any = faults != '0;

  always_ff @(posedge clk) begin
    faults <= (faults & ~clear) | cause;
    if (rst) faults <= '0;
  end

  // Sticky: nothing but clear clears.
  assert property (@(posedge clk) disable iff (rst) ($past(faults) & ~$past(clear) & ~faults) == '0 || $past(rst));

endmodule

`default_nettype wire
