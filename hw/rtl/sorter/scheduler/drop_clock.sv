// SPDX-License-Identifier: Apache-2.0
//
// drop_clock: numbers the drops of a droplet sorter and remembers when each began.
//
//   Source      external: a rising edge of `drop_in`, a pin already synchronised. Internal: a 32-bit phase accumulator that adds `increment`
//               each cycle; a drop begins with each carry, that is 2^32 / increment cycles apart on average.
//   tick        one cycle with each drop that begins; `number` has just become its number, `timestamp` of that cycle is its begin.
//               2 cycles behind the edge or the carry.
//   began       begin of drop `ask`, 2 cycles after ask; right for the last REMEMBERED drops.
//   known       drops since droplet mode began, saturating at REMEMBERED: how many can be asked for.
//   failed      a pulse: no drop for `timeout` cycles, or one less than LEAST cycles behind the one before, which is passed over.
//   Reset       number 0; not `enabled`: no drops, nothing known.
`default_nettype none

module drop_clock
  import icsort_pkg::*;
#(
    parameter int unsigned REMEMBERED = 16,   // a power of two
    parameter int unsigned LEAST      = 256,  // cycles a drop
    localparam int unsigned NumberBits = TIME_BITS - 4,
    localparam int unsigned AddrBits   = $clog2(REMEMBERED)
) (
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic                   enabled,
    input  wire logic                   external,
    input  wire logic [31:0]            increment,
    input  wire logic [31:0]            timeout,
    input  wire logic                   drop_in,
    input  wire logic [TIME_BITS-1:0]   timestamp,

    output logic                        tick,
    output logic [NumberBits-1:0]       number,
    input  wire logic [AddrBits-1:0]    ask,
    output logic [TIME_BITS-1:0]        began,
    output logic [AddrBits:0]           known,
    output logic                        failed
);
  if (REMEMBERED < 4 || (REMEMBERED & (REMEMBERED - 1)) != 0) begin : gen_size_error
    $error("drop_clock: REMEMBERED must be a power of two, at least 4");
  end

  logic [TIME_BITS-1:0]  mem [REMEMBERED];
  logic [AddrBits-1:0]   ask_q;
  logic [31:0]           phase_q, since_q;  // since the last drop, cycles, saturating
  logic                  carry_q, level_q, edge_q, late_q, early_q;

  wire edge_seen = external ? drop_in && !level_q : carry_q;

  always_ff @(posedge clk) begin
    {carry_q, phase_q} <= {1'b0, phase_q} + {1'b0, increment};
    level_q <= drop_in;
    edge_q  <= edge_seen && enabled;

    since_q <= since_q == '1 ? since_q : since_q + 1'b1;
    early_q <= since_q < 32'(LEAST - 2);
    late_q  <= since_q >= timeout;
    tick    <= 1'b0;
    failed  <= enabled && ((edge_q && early_q && known != '0) || late_q);
    if (edge_q && (!early_q || known == '0)) begin
      tick    <= 1'b1;
      number  <= number + 1'b1;
      since_q <= '0;
      late_q  <= 1'b0;
      if (!known[AddrBits]) known <= known + 1'b1;
    end
    if (late_q) since_q <= '0;  // once each timeout
    if (late_q) late_q  <= 1'b0;

    if (tick) mem[number[AddrBits-1:0]] <= timestamp;
    ask_q <= ask;
    began <= mem[ask_q];

    if (!enabled) begin
      known   <= '0;
      since_q <= '0;
      late_q  <= 1'b0;
      edge_q  <= 1'b0;
      carry_q <= 1'b0;
    end
    if (rst) begin
      number  <= '0;
      phase_q <= '0;
      carry_q <= 1'b0;
      level_q <= 1'b1;
      edge_q  <= 1'b0;
      early_q <= 1'b0;
      late_q  <= 1'b0;
      since_q <= '0;
      known   <= '0;
      tick    <= 1'b0;
      failed  <= 1'b0;
    end
  end

endmodule

`default_nettype wire
