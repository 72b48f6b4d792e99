// SPDX-License-Identifier: Apache-2.0
//
// record_fifo: event records on their way to the link, kept or dropped whole.
//
//   Handshake   s_word: WORDS words of 32 bits a record, marked by tlast, no ready. m_axis: AXI4-Stream of bytes, the low
//               byte of a word first, tlast on the last byte of a record.
//   Latency     3 cycles from the last word of a record to its first byte. Interval: a word a cycle in; 4 bytes in 6 cycles
//               out, far above what a UART takes.
//   Reset       empty; a record under way is lost.
//   Overflow    a record that does not fit at its first word is dropped whole; `lost` pulses.
//   DEPTH words in one block RAM (synchronous read).
`default_nettype none

module record_fifo #(
    parameter int unsigned WORDS = 13,
    parameter int unsigned DEPTH = 1024
) (
    input  wire logic         clk,
    input  wire logic         rst,

    input  wire logic [31:0]  s_word_tdata,
    input  wire logic         s_word_tvalid,
    input  wire logic         s_word_tlast,

    output logic [7:0]        m_axis_tdata,
    output logic              m_axis_tvalid,
    input  wire logic         m_axis_tready,
    output logic              m_axis_tlast,

    output logic              lost,
    output logic              empty          // no record inside, whole or in part
);
  if (WORDS < 1 || DEPTH < WORDS || (DEPTH & (DEPTH - 1)) != 0) begin : gen_depth_error
    $error("record_fifo: DEPTH must be a power of two that holds a record of WORDS words");
  end

  localparam int unsigned AddrBits = $clog2(DEPTH);
  localparam int unsigned WordBits = $clog2(WORDS + 1);

  logic [31:0]          mem [DEPTH];
  // One bit more than the address tells full from empty.
  logic [AddrBits:0]    write_q, commit_q, read_q;
  logic                 first_q;    // the next word in begins a record
  logic                 drop_q;     // the record at hand is dropped
  logic                 fetched_q;  // read_data_q holds the word at read_q - 1
  logic [31:0]          word_q;
  logic [2:0]           bytes_q;    // bytes of word_q still to send
  logic [WordBits-1:0]  left_q;     // words of the record behind word_q

  wire [AddrBits:0] used   = write_q - read_q;
  wire              fits   = used <= (AddrBits + 1)'(DEPTH - WORDS);
  wire              drop   = first_q ? !fits : drop_q;
  wire              send   = m_axis_tvalid && m_axis_tready;
  wire              fetch  = !fetched_q && bytes_q == '0 && read_q != commit_q;

  logic [31:0] read_data_q;

  assign m_axis_tdata  = word_q[7:0];
  assign m_axis_tvalid = bytes_q != '0;
  assign m_axis_tlast  = bytes_q == 3'd1 && left_q == '0;
  assign empty         = write_q == read_q && !fetched_q && bytes_q == '0;

  always_ff @(posedge clk) begin
    if (s_word_tvalid && !drop) mem[write_q[AddrBits-1:0]] <= s_word_tdata;
    if (fetch) read_data_q <= mem[read_q[AddrBits-1:0]];
  end

  always_ff @(posedge clk) begin
    lost <= s_word_tvalid && first_q && !fits;
    if (s_word_tvalid) begin
      first_q <= s_word_tlast;
      drop_q  <= drop;
      if (!drop) begin
        write_q <= write_q + 1'b1;
        if (s_word_tlast) commit_q <= write_q + 1'b1;
      end
    end

    fetched_q <= fetch;
    if (fetch) read_q <= read_q + 1'b1;
    if (fetched_q) begin
      word_q  <= read_data_q;
      bytes_q <= 3'd4;
      left_q  <= left_q == '0 ? WordBits'(WORDS - 1) : left_q - 1'b1;
    end
    if (send) begin
      word_q  <= word_q >> 8;
      bytes_q <= bytes_q - 1'b1;
    end

    if (rst) begin
      write_q   <= '0;
      commit_q  <= '0;
      read_q    <= '0;
      first_q   <= 1'b1;
      lost      <= 1'b0;
      fetched_q <= 1'b0;
      bytes_q   <= '0;
      left_q    <= '0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) used <= (AddrBits + 1)'(DEPTH));

endmodule

`default_nettype wire
