// SPDX-License-Identifier: Apache-2.0
//
// feature_exp2: 2^exponent as a fixed-point number. Bit-true model: _exp2 of sim/bit_true/features.py.
//
//   Input       exponent, signed, 2^-20; the number of fraction bits wanted; zero: the result is to be 0.
//   Output      result, rounded to the nearest integer, in the 4th cycle behind, not registered. `side` comes out with it.
//   Interval    one a cycle, never stalled.
//   Error       below 2^-19 of the result, and half of its last bit.
//   Overflow    what does not fit 24 bits is not given: exponent + fraction_bits must be below 24.
//   Reset       none: what is on its way stays; say in `side` what counts.
`default_nettype none

module feature_exp2
  import feature_tables_pkg::*;
#(
    parameter int unsigned SIDE = 1
) (
    input  wire logic                       clk,
    input  wire logic signed [LOG_BITS+8:0] exponent,
    input  wire logic [4:0]                 fraction_bits,
    input  wire logic                       zero,
    input  wire logic [SIDE-1:0]            side,
    output logic [23:0]                     result,
    output logic [SIDE-1:0]                 result_side
);
  localparam int unsigned RestBits = LOG_BITS - SEGMENT_BITS;

  wire signed [9:0] octave = 10'(exponent >>> LOG_BITS);
  wire signed [9:0] right  = 10'sd23 - 10'(fraction_bits) - octave;

  (* rom_style = "block", ram_style = "block" *)  // Vivado reads the one, Yosys the other
  logic [LOG_BITS+SLOPE_BITS-1:0] entries [2**SEGMENT_BITS];
  logic [LOG_BITS+SLOPE_BITS-1:0] entry_q;
  logic [RestBits-1:0]            rest_q;
  logic [SLOPE_BITS+RestBits-1:0] product_q;
  logic [LOG_BITS-1:0]            value_q, fraction_q;
  logic [2:0][4:0]                right_q;
  logic [2:0]                     zero_q;
  logic [3:0][SIDE-1:0]           side_q;
  logic [LOG_BITS+4:0]            doubled_q;

  initial entries = EXP2;

  always_ff @(posedge clk) begin
    side_q <= {side_q[2:0], side};
    zero_q <= {zero_q[1:0], zero || right > 10'sd31};

    entry_q    <= entries[exponent[LOG_BITS-1-:SEGMENT_BITS]];
    rest_q     <= exponent[RestBits-1:0];
    right_q[0] <= right < 10'sd0 ? '0 : right[4:0];

    product_q  <= entry_q[SLOPE_BITS-1:0] * rest_q;
    value_q    <= entry_q[SLOPE_BITS+:LOG_BITS];
    right_q[1] <= right_q[0];

    fraction_q <= value_q + LOG_BITS'(product_q >> RestBits);
    right_q[2] <= right_q[1];

    doubled_q <= zero_q[2] ? '0 : {1'b1, fraction_q, 4'd0} >> right_q[2];
  end

  assign result      = 24'((doubled_q + 1'b1) >> 1);
  assign result_side = side_q[3];

endmodule

`default_nettype wire
