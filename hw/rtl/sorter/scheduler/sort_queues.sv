// SPDX-License-Identifier: Apache-2.0
//
// sort_queues: what waits for each sort output, first in, first out: QUEUES queues of DEPTH entries in one memory.
//
//   Handshake   push and pop are pulses, one of them a cycle; push never into a full queue, pop never from an empty one (asserted).
//   front       of queue `index`, 2 cycles after index was put on and what was pushed there before.
//   flush       marks all that waits: `stale` of a queue is high while what is at its front was there at the last flush.
//   Reset       all empty.
`default_nettype none

module sort_queues #(
    parameter int unsigned QUEUES = 6,
    parameter int unsigned DEPTH  = 64,
    parameter int unsigned WIDTH  = 9,
    localparam int unsigned IndexBits = $clog2(QUEUES)
) (
    input  wire logic                  clk,
    input  wire logic                  rst,

    input  wire logic [IndexBits-1:0]  index,
    input  wire logic                  push,
    input  wire logic [WIDTH-1:0]      push_data,
    input  wire logic                  pop,
    output logic [WIDTH-1:0]           front,

    input  wire logic                  flush,
    output logic [QUEUES-1:0]          stale,
    output logic [QUEUES-1:0]          filled,     // holds something
    output logic [QUEUES-1:0]          full
);
  if (DEPTH < 2 || (DEPTH & (DEPTH - 1)) != 0) begin : gen_depth_error
    $error("sort_queues: DEPTH must be a power of two, at least 2");
  end

  localparam int unsigned AddrBits  = $clog2(DEPTH);
  localparam int unsigned CountBits = AddrBits + 1;

  (* ram_style = "block" *)
  logic [WIDTH-1:0]                  mem [2**IndexBits * DEPTH];
  logic [QUEUES-1:0][AddrBits-1:0]   read_q;
  logic [QUEUES-1:0][CountBits-1:0]  count_q, stale_q;
  logic [WIDTH-1:0]                  read_data_q;

  wire [AddrBits-1:0]  read_at  = read_q[index];
  wire [AddrBits-1:0]  write_at = read_at + AddrBits'(count_q[index]);
  wire [CountBits-1:0] count    = count_q[index] + (push ? CountBits'(1) : '1);  // behind this push or pop

  always_ff @(posedge clk) begin
    if (push) mem[{index, write_at}] <= push_data;
    read_data_q <= mem[{index, read_at}];
    front       <= read_data_q;
  end

  for (genvar i = 0; i < QUEUES; i++) begin : gen_queue
    wire selected = index == IndexBits'(i);

    assign filled[i] = count_q[i] != '0;
    assign full[i]   = count_q[i] == CountBits'(DEPTH);
    assign stale[i]  = stale_q[i] != '0;

    always_ff @(posedge clk) begin
      if (pop && selected) begin
        read_q[i] <= read_at + 1'b1;
        if (stale[i]) stale_q[i] <= stale_q[index] - 1'b1;
      end
      if ((push || pop) && selected) count_q[i] <= count;
      // What is pushed or popped in this very cycle is of before the flush as well.
      if (flush) stale_q[i] <= (push || pop) && selected ? count : count_q[i];
      if (rst) begin
        read_q[i]  <= '0;
        count_q[i] <= '0;
        stale_q[i] <= '0;
      end
    end
  end

  assert property (@(posedge clk) disable iff (rst) !push || !full[index]);
  assert property (@(posedge clk) disable iff (rst) !pop || filled[index]);
  assert property (@(posedge clk) disable iff (rst) !(push && pop));

endmodule

`default_nettype wire
