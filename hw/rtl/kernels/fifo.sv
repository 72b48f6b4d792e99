// SPDX-License-Identifier: Apache-2.0
//
// fifo: synchronous first-word-fall-through FIFO for AXI4-Stream.
//
//   Handshake   AXI4-Stream on both sides; both ready and valid come from registers (no combinational path through).
//   Memory      DEPTH words. RAM_STYLE "distributed" reads it in the cycle in which the beat leaves; "block" and "ultra"
//               a cycle before, into a register, beside which a register of one beat takes what the memory has not
//               got yet: the same behaviour. "auto" is "block" for more than 256 beats, else "distributed".
//   Latency     1 cycle from an accepted input beat to m_axis_tvalid.
//   Interval    1 beat a cycle, also when full or empty (DEPTH >= 2).
//   Reset       empties the FIFO; beats inside are lost.
//   Overflow    cannot happen: s_axis_tready is low while DEPTH beats are held.
//   count       beats held now, 0 .. DEPTH: what FIFO sizing measures.
`default_nettype none

module fifo #(
    parameter int unsigned WIDTH = 8,
    parameter int unsigned DEPTH = 2,
    parameter              RAM_STYLE = "auto",
    localparam int unsigned CountBits = $clog2(DEPTH + 1)
) (
    input  wire logic                 clk,
    input  wire logic                 rst,

    input  wire logic [WIDTH-1:0]     s_axis_tdata,
    input  wire logic                 s_axis_tvalid,
    output logic                      s_axis_tready,

    output logic [WIDTH-1:0]          m_axis_tdata,
    output logic                      m_axis_tvalid,
    input  wire logic                 m_axis_tready,

    output logic [CountBits-1:0]      count
);
  if (WIDTH < 1) begin : gen_width_error
    $error("fifo: WIDTH must be at least 1");
  end
  if (DEPTH < 2) begin : gen_depth_error
    $error("fifo: DEPTH must be at least 2, or a full FIFO halves the rate");
  end
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  if (RAM_STYLE != "auto" && RAM_STYLE != "distributed" && RAM_STYLE != "block"
      && RAM_STYLE != "ultra") begin : gen_style_error
  /* verilator lint_on WIDTHEXPAND */
    $error("fifo: RAM_STYLE must be auto, distributed, block or ultra");
  end

  localparam int unsigned AddrBits = $clog2(DEPTH);
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  localparam bit          Ahead    = RAM_STYLE == "auto" ? DEPTH > 256 : RAM_STYLE != "distributed";
  /* verilator lint_off UNUSEDPARAM */  // for other tools alone
  localparam              Style    = RAM_STYLE != "auto" ? RAM_STYLE : Ahead ? "block" : "distributed";
  /* verilator lint_on UNUSEDPARAM */
  /* verilator lint_on WIDTHEXPAND */

  (* ram_style = Style *)
  logic [WIDTH-1:0]     mem [DEPTH];
  logic [AddrBits-1:0]  wr_q, rd_q;
  logic [CountBits-1:0] count_q;

  function automatic logic [AddrBits-1:0] next(input logic [AddrBits-1:0] pointer);
    return pointer == AddrBits'(DEPTH - 1) ? '0 : pointer + 1'b1;
  endfunction

  assign s_axis_tready = count_q != CountBits'(DEPTH);
  assign m_axis_tvalid = count_q != '0;
  assign count         = count_q;

  wire push = s_axis_tvalid && s_axis_tready;
  wire pop  = m_axis_tvalid && m_axis_tready;

  always_ff @(posedge clk) begin
    if (push) begin
      mem[wr_q] <= s_axis_tdata;
      wr_q      <= next(wr_q);
    end
    if (pop) rd_q <= next(rd_q);
    if (push && !pop) count_q <= count_q + 1'b1;
    if (pop && !push) count_q <= count_q - 1'b1;
    if (rst) begin
      wr_q    <= '0;
      rd_q    <= '0;
      count_q <= '0;
    end
  end

  if (Ahead) begin : gen_read_ahead
    logic [WIDTH-1:0]    read_q, pushed_q;
    logic                from_push_q;  // the beat to offer was on its way into the memory when it was read
    wire  [AddrBits-1:0] next_rd = pop ? next(rd_q) : rd_q;

    assign m_axis_tdata = from_push_q ? pushed_q : read_q;

    always_ff @(posedge clk) begin
      read_q      <= mem[next_rd];
      pushed_q    <= s_axis_tdata;
      from_push_q <= push && wr_q == next_rd;
    end
  end else begin : gen_read
    assign m_axis_tdata = mem[rd_q];
  end

endmodule

`default_nettype wire
