// SPDX-License-Identifier: Apache-2.0
//
// feature_log2: the logarithm to the base 2 of an integer. Bit-true model: _log2 of sim/bit_true/features.py.
//
//   Output      log, 2^-20, of the number; where SIGNED, of twice its magnitude. none: the number is 0, log then means nothing.
//               A negative number is inverted bit by bit, far behind its point, which is as good as its magnitude.
//               `side` comes out with what it went in with.
//   Latency     6 cycles; one a cycle, never stalled.
//   Error       -4.4 to +0.5 of 2^-20.
//   Reset       none: what is on its way stays; say in `side` what counts.
`default_nettype none

module feature_log2
  import feature_tables_pkg::*;
#(
    parameter int unsigned BITS   = 48,    // of the number, at most 80
    parameter bit          SIGNED = 1'b0,
    parameter int unsigned SIDE   = 1
) (
    input  wire logic             clk,
    input  wire logic [BITS-1:0]  number,
    input  wire logic [SIDE-1:0]  side,
    output logic [LOG_BITS+6:0]   log,
    output logic                  negative,
    output logic                  none,
    output logic [SIDE-1:0]       log_side
);
  if (BITS < 1 || BITS > 80) begin : gen_size_error
    $error("feature_log2: BITS must be 1 to 80");
  end

  localparam int unsigned Whole      = BITS + int'(SIGNED);  // a bit behind the point, where -1 has its one
  localparam int unsigned Groups     = (Whole + 15) / 16;
  localparam int unsigned WindowBits = 16 + LOG_BITS + 1;
  localparam int unsigned RestBits   = LOG_BITS - SEGMENT_BITS;
  localparam int unsigned Latency    = 6;

  logic [Latency-1:0][SIDE-1:0] side_q;
  logic [Latency-1:0]           negative_q, none_q;

  // The highest 16 bits of which one is set, and what follows.
  wire                                 below     = SIGNED && number[BITS-1];
  wire [Whole+LOG_BITS:0]              inverted  = (Whole + LOG_BITS + 1)'({number, {LOG_BITS + 2{1'b0}}} >> !SIGNED) ^ {Whole + LOG_BITS + 1{below}};
  wire [16*Groups+LOG_BITS:0]          magnitude = (16 * Groups + LOG_BITS + 1)'(inverted);
  logic [Groups-1:0]                   some;
  logic [WindowBits-1:0]               window, window_q;
  logic [2:0]                          group, group_q;

  always_comb begin
    window = '0;
    group  = '0;
    for (int unsigned g = 0; g < Groups; g++) begin
      some[g] = |magnitude[16*g+LOG_BITS+1+:16];
      if (some[g]) begin
        window = magnitude[16*g+:WindowBits];
        group  = 3'(g);
      end
    end
  end

  // Then the highest 4, then the highest one.
  logic [LOG_BITS+3:0]       by_fours, short_q;
  logic [LOG_BITS-1:0]       by_ones;
  logic [1:0]                fours, ones;
  logic [4:0]                fours_q;
  logic [6:0]                exponent_q;
  logic [LOG_BITS-1:0]       fraction_q;

  always_comb begin
    if (window_q[WindowBits-1-:4] != '0) fours = 2'd0;
    else if (window_q[WindowBits-5-:4] != '0) fours = 2'd1;
    else if (window_q[WindowBits-9-:4] != '0) fours = 2'd2;
    else fours = 2'd3;
    by_fours = (LOG_BITS + 4)'((window_q << {fours, 2'd0}) >> 13);
    if (short_q[LOG_BITS+3]) ones = 2'd0;
    else if (short_q[LOG_BITS+2]) ones = 2'd1;
    else if (short_q[LOG_BITS+1]) ones = 2'd2;
    else ones = 2'd3;
    by_ones = LOG_BITS'((short_q << ones) >> 3);  // without the one
  end

  // Interpolated.
  logic [6:0]                       exponent_2_q, exponent_3_q;
  (* rom_style = "block", ram_style = "block" *)  // Vivado reads the one, Yosys the other
  logic [LOG_BITS+SLOPE_BITS-1:0]   entries [2**SEGMENT_BITS];
  logic [LOG_BITS+SLOPE_BITS-1:0]   entry_q;
  logic [RestBits-1:0]              rest_q;
  logic [SLOPE_BITS+RestBits-1:0]   product_q;
  logic [LOG_BITS-1:0]              value_q;

  initial entries = LOG2;

  always_ff @(posedge clk) begin
    side_q     <= {side_q[Latency-2:0], side};
    negative_q <= {negative_q[Latency-2:0], below};
    none_q     <= {none_q[Latency-2:0], some == '0};

    window_q <= window;
    group_q  <= group;

    short_q <= by_fours;
    fours_q <= {group_q, ~fours};

    fraction_q <= by_ones;
    exponent_q <= {fours_q, ~ones};

    entry_q      <= entries[fraction_q[LOG_BITS-1-:SEGMENT_BITS]];
    rest_q       <= fraction_q[RestBits-1:0];
    exponent_2_q <= exponent_q;

    product_q    <= entry_q[SLOPE_BITS-1:0] * rest_q;
    value_q      <= entry_q[SLOPE_BITS+:LOG_BITS];
    exponent_3_q <= exponent_2_q;

    log <= {exponent_3_q, value_q + LOG_BITS'(product_q >> RestBits)};
  end

  assign log_side = side_q[Latency-1];
  assign negative = negative_q[Latency-1];
  assign none     = none_q[Latency-1];

endmodule

`default_nettype wire
