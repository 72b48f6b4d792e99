// SPDX-License-Identifier: Apache-2.0
//
// record_fifo: records on their way to the host, kept or dropped whole.
//
//   Handshake   s_word: words of 32 bits with the record's type (tuser), the last of a record marked by tlast, no ready. m_axis:
//               AXI4-Stream, the same.
//   Latency     2 cycles from the last word of a record to its first word out. Interval: a word a cycle on both sides.
//   Reset       empty; a record under way is lost.
//   Overflow    a record whose words do not all fit is dropped whole; `lost` pulses once for it.
//   DEPTH words in one block RAM (synchronous read).
`default_nettype none

module record_fifo #(
    parameter int unsigned DEPTH = 1024
) (
    input  wire logic         clk,
    input  wire logic         rst,

    input  wire logic [31:0]  s_word_tdata,
    input  wire logic         s_word_tvalid,
    input  wire logic         s_word_tlast,
    input  wire logic [7:0]   s_word_tuser,

    output logic [31:0]       m_axis_tdata,
    output logic              m_axis_tvalid,
    input  wire logic         m_axis_tready,
    output logic              m_axis_tlast,
    output logic [7:0]        m_axis_tuser,

    output logic              lost,
    output logic              empty          // no record inside, whole or in part
);
  if (DEPTH < 2 || (DEPTH & (DEPTH - 1)) != 0) begin : gen_depth_error
    $error("record_fifo: DEPTH must be a power of two, at least 2");
  end

  localparam int unsigned AddrBits = $clog2(DEPTH);

  logic [34:0]        mem [DEPTH];    // types differ in their low two bits
  // One bit more than the address tells full from empty.
  logic [AddrBits:0]  write_q, commit_q, read_q;
  logic [1:0]         type_q;
  logic               drop_q;     // what is left of the record at hand is dropped

  wire full  = (write_q ^ read_q) == (AddrBits + 1)'(DEPTH);
  wire keep  = s_word_tvalid && !full && !drop_q;
  wire spill = s_word_tvalid && full && !drop_q;
  wire fetch = (!m_axis_tvalid || m_axis_tready) && read_q != commit_q;

  assign m_axis_tuser = {icsort_pkg::FRAME_EVENT[7:2], type_q};
  assign empty = write_q == read_q && !m_axis_tvalid;

  always_ff @(posedge clk) begin
    if (keep) mem[write_q[AddrBits-1:0]] <= {s_word_tuser[1:0], s_word_tlast, s_word_tdata};
    if (fetch) {type_q, m_axis_tlast, m_axis_tdata} <= mem[read_q[AddrBits-1:0]];
  end

  always_ff @(posedge clk) begin
    lost <= spill;
    if (keep) begin
      write_q <= write_q + 1'b1;
      if (s_word_tlast) commit_q <= write_q + 1'b1;
    end
    if (spill) write_q <= commit_q;
    if (s_word_tvalid) drop_q <= (spill || drop_q) && !s_word_tlast;

    if (fetch) read_q <= read_q + 1'b1;
    m_axis_tvalid <= fetch || (m_axis_tvalid && !m_axis_tready);

    if (rst) begin
      write_q       <= '0;
      commit_q      <= '0;
      read_q        <= '0;
      drop_q        <= 1'b0;
      lost          <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !s_word_tvalid || s_word_tuser[7:2] == icsort_pkg::FRAME_EVENT[7:2]);
  assert property (@(posedge clk) disable iff (rst) (AddrBits + 1)'(write_q - read_q) <= (AddrBits + 1)'(DEPTH));
  assert property (@(posedge clk) disable iff (rst) (AddrBits + 1)'(commit_q - read_q) <= (AddrBits + 1)'(write_q - read_q));

endmodule

`default_nettype wire
