// SPDX-License-Identifier: Apache-2.0
//
// counters: COUNTERS counters of 32 bits, each with an increment of 0 to 2^STEP_BITS - 1 a cycle.
//
//   Latency     1 cycle from step to value. All values of one cycle belong together.
//   Reset       all 0.
//   Overflow    wraps at 2^32, so that sums and differences of counters stay right modulo 2^32.
//   Order       counter 0 at the LSB of step and value.
`default_nettype none

module counters #(
    parameter int unsigned COUNTERS  = 1,
    parameter int unsigned STEP_BITS = 1
) (
    input  wire logic                           clk,
    input  wire logic                           rst,
    input  wire logic [COUNTERS*STEP_BITS-1:0]  step,
    output logic [COUNTERS*32-1:0]              value
);
  if (COUNTERS < 1 || STEP_BITS < 1 || STEP_BITS > 32) begin : gen_size_error
    $error("counters: COUNTERS must be at least 1 and STEP_BITS within 1..32");
  end

  for (genvar i = 0; i < COUNTERS; i++) begin : gen_counter
    always_ff @(posedge clk) begin
      value[i*32+:32] <= value[i*32+:32] + 32'(step[i*STEP_BITS+:STEP_BITS]);
      if (rst) value[i*32+:32] <= '0;
    end
  end

endmodule

`default_nettype wire
