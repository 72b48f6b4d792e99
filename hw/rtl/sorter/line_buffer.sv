// SPDX-License-Identifier: Apache-2.0
//
// line_buffer: pixels on trial until they are committed, then out; the missing end of a short line comes out as zeros.
//
//   Write side  `store` writes {short, data}; `commit` keeps everything written so far, this beat included; `rollback` gives
//               back what is not committed, this beat included. `space` promises room for the beat of the next cycle as
//               well as for one on its way (line_input's register).
//   Read side   AXI4-Stream of the window, W pixels a line; a pixel marked short is followed by zeros up to W.
//   Latency     1 cycle from commit to m_axis_tvalid. Interval 1 cycle on both sides.
//   Reset       empty.
//   Overflow    cannot happen while `space` is heeded; asserted.
`default_nettype none

module line_buffer #(
    parameter int unsigned WIDTH = 48,
    parameter int unsigned W     = 40,
    parameter int unsigned DEPTH = 128
) (
    input  wire logic              clk,
    input  wire logic              rst,

    input  wire logic              store,
    input  wire logic [WIDTH-1:0]  data,
    input  wire logic              short_line,
    input  wire logic              commit,
    input  wire logic              rollback,
    output logic                   space,

    output logic [WIDTH-1:0]       m_axis_tdata,
    output logic                   m_axis_tvalid,
    input  wire logic              m_axis_tready
);
  if (WIDTH < 1 || W < 1) begin : gen_size_error
    $error("line_buffer: WIDTH and W must be at least 1");
  end
  if (DEPTH < 2 * W || DEPTH < 4 || (DEPTH & (DEPTH - 1)) != 0) begin : gen_depth_error
    $error("line_buffer: DEPTH must be a power of two, at least 4, that holds two lines: one on trial and one on its way out");
  end

  localparam int unsigned AddrBits   = $clog2(DEPTH);
  localparam int unsigned ColumnBits = $clog2(W + 1);

  logic [WIDTH:0]         mem [DEPTH];
  // One bit more than the address tells full from empty.
  logic [AddrBits:0]      write_q, commit_q, read_q;
  logic [ColumnBits-1:0]  column_q;
  logic                   pad_q;

  wire [AddrBits:0] used         = write_q - read_q;
  wire [AddrBits:0] write_next   = write_q + (AddrBits + 1)'(store);
  wire [WIDTH:0]    head         = mem[read_q[AddrBits-1:0]];
  wire              last_column  = column_q == ColumnBits'(W - 1);
  wire              send         = m_axis_tvalid && m_axis_tready;

  assign space         = used <= (AddrBits + 1)'(DEPTH - 2);
  assign m_axis_tvalid = pad_q || read_q != commit_q;
  assign m_axis_tdata  = pad_q ? '0 : head[WIDTH-1:0];

  always_ff @(posedge clk) begin
    if (store) mem[write_q[AddrBits-1:0]] <= {short_line, data};
    write_q <= rollback ? commit_q : write_next;
    if (commit) commit_q <= write_next;
    if (send) begin
      column_q <= last_column ? '0 : column_q + 1'b1;
      if (!pad_q) read_q <= read_q + 1'b1;
      pad_q <= (pad_q || head[WIDTH]) && !last_column;
    end
    if (rst) begin
      write_q  <= '0;
      commit_q <= '0;
      read_q   <= '0;
      column_q <= '0;
      pad_q    <= 1'b0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !store || used != (AddrBits + 1)'(DEPTH));

endmodule

`default_nettype wire
