// SPDX-License-Identifier: Apache-2.0
//
// record_batches: words of a record leave as they are taken; behind the last one, and nowhere else, its trailer; a packet ends with a trailer,
// and with the first one that makes it long enough; what is offered stays.
`default_nettype none

module record_batches_properties (
    input wire logic        clk,
    input wire logic        rst,
    input wire logic [31:0] s_axis_tdata,
    input wire logic        s_axis_tvalid,
    input wire logic        s_axis_tlast,
    input wire logic [7:0]  s_axis_tuser,
    input wire logic        m_axis_tready
);
  localparam int unsigned Words = 6;

  logic        s_axis_tready, m_axis_tvalid, m_axis_tlast;
  logic [31:0] m_axis_tdata;

  record_batches #(.WORDS(Words), .PERIOD(5)) dut (.*);

  logic        begun_q = 1'b0;
  logic        waiting_q;             // a word was offered at the input and not taken
  logic        held_q;                // a word was offered at the output and not taken
  logic [31:0] in_data_q, out_data_q;
  logic        in_last_q, out_last_q;
  logic [7:0]  in_user_q, type_q;
  logic        ended_q;               // the last word of a record has left, its trailer has not
  logic [15:0] words_q;               // of the record
  logic [16:0] packet_q;              // words of the packet, up to Words

  wire taken = s_axis_tvalid && s_axis_tready;
  wire left  = m_axis_tvalid && m_axis_tready;

  always_ff @(posedge clk) begin
    begun_q <= 1'b1;
    if (!begun_q) assume (rst);
    waiting_q  <= s_axis_tvalid && !s_axis_tready;
    held_q     <= m_axis_tvalid && !m_axis_tready;
    in_data_q  <= s_axis_tdata;
    in_last_q  <= s_axis_tlast;
    in_user_q  <= s_axis_tuser;
    out_data_q <= m_axis_tdata;
    out_last_q <= m_axis_tlast;
    if (left && packet_q != 17'(Words)) packet_q <= packet_q + 1'b1;
    if (left && ended_q) begin
      ended_q <= 1'b0;
      words_q <= '0;
      if (m_axis_tlast) packet_q <= '0;
    end
    if (taken) begin
      ended_q <= s_axis_tlast;
      words_q <= words_q + 1'b1;
      type_q  <= s_axis_tuser;
    end
    if (rst) begin
      waiting_q <= 1'b0;
      held_q    <= 1'b0;
      ended_q   <= 1'b0;
      words_q   <= '0;
      packet_q  <= '0;
    end
  end

  always_comb begin
    // The source holds what it has offered.
    if (begun_q && !rst && waiting_q) begin
      assume (s_axis_tvalid && s_axis_tdata == in_data_q && s_axis_tlast == in_last_q && s_axis_tuser == in_user_q);
    end
    if (begun_q && !rst) begin
      assert (taken == (left && !ended_q));
      if (taken) assert (m_axis_tdata == s_axis_tdata);
      if (m_axis_tvalid && ended_q) assert (m_axis_tdata == {type_q, 8'd0, words_q});
      if (m_axis_tlast) assert (m_axis_tvalid && ended_q);
      if (left && ended_q && packet_q + 1'b1 >= 17'(Words)) assert (m_axis_tlast);
      if (held_q) assert (m_axis_tvalid && m_axis_tdata == out_data_q && m_axis_tlast == out_last_q);
      // For the induction: what is counted here is what the block counts.
      assert (dut.words_q == words_q && dut.packet_q == packet_q);
      assert (ended_q == (dut.state_q != 2'd0) && dut.state_q != 2'd3 && packet_q <= 17'(Words));
      if (dut.state_q == 2'd2 && packet_q + 1'b1 >= 17'(Words)) assert (dut.last_q);
      if (ended_q) assert (dut.type_q == type_q);
    end
  end
endmodule

`default_nettype wire
