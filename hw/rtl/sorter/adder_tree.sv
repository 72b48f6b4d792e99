// SPDX-License-Identifier: Apache-2.0
//
// adder_tree: the sum of N unsigned numbers, four a stage.
//
//   Latency     the number of stages, ceil(log4 N); 0 for one number. A sum every cycle.
//   Reset       none: what is on its way stays.
`default_nettype none

module adder_tree #(
    parameter int unsigned N    = 4,
    parameter int unsigned BITS = 16,
    localparam int unsigned SumBits = BITS + $clog2(N)
) (
    input  wire logic                clk,
    input  wire logic [N*BITS-1:0]   values,
    output logic [SumBits-1:0]       total
);
  localparam int unsigned Stages = ($clog2(N) + 1) / 2;

  if (N < 1 || BITS < 1) begin : gen_size_error
    $error("adder_tree: N and BITS must be at least 1");
  end

  function automatic int unsigned left(input int unsigned stages);  // numbers behind so many stages
    return (N + 4 ** stages - 1) / 4 ** stages;
  endfunction

  for (genvar s = 0; s <= Stages; s++) begin : gen_stage
    localparam int unsigned Left = left(s);
    logic [Left-1:0][SumBits-1:0] sums;

    if (s == 0) begin : gen_in
      for (genvar i = 0; i < N; i++) begin : gen_value
        assign sums[i] = SumBits'(values[i*BITS+:BITS]);
      end
    end else begin : gen_add
      localparam int unsigned Before = left(s - 1);
      always_ff @(posedge clk) begin
        for (int unsigned i = 0; i < Left; i++) begin
          automatic logic [SumBits-1:0] sum = '0;
          for (int unsigned k = 4 * i; k < 4 * i + 4 && k < Before; k++) sum = sum + gen_stage[s-1].sums[k];
          sums[i] <= sum;
        end
      end
    end
  end

  if (Stages == 0) begin : gen_one
    wire unused = clk;
  end

  assign total = gen_stage[Stages].sums[0];

endmodule

`default_nettype wire
