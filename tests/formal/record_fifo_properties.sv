// SPDX-License-Identifier: Apache-2.0
//
// record_fifo: what is offered stays until it is taken; records come out whole: as many as were kept, each with its own words and no other's, and
// each that was not is told as lost. Words say which record they are of and where in it: the FIFO does not look at them.
`default_nettype none

module record_fifo_properties (
    input wire logic        clk,
    input wire logic        rst,
    input wire logic [31:0] s_word_tdata,
    input wire logic        s_word_tvalid,
    input wire logic        s_word_tlast,
    input wire logic [1:0]  kind,
    input wire logic        m_axis_tready
);
  logic [31:0] m_axis_tdata;
  logic [7:0]  m_axis_tuser;
  logic        m_axis_tvalid, m_axis_tlast, lost, empty;

  record_fifo #(.DEPTH(4)) dut (
      .clk, .rst, .s_word_tdata, .s_word_tvalid, .s_word_tlast, .s_word_tuser({icsort_pkg::FRAME_EVENT[7:2], kind}),
      .m_axis_tdata, .m_axis_tvalid, .m_axis_tready, .m_axis_tlast, .m_axis_tuser, .lost, .empty
  );

  logic        begun_q = 1'b0;
  logic        offered_q, last_q;
  logic [31:0] data_q;
  logic [7:0]  user_q, in_q, out_q, lost_q;   // records: begun and ended, come out, lost
  logic [7:0]  in_at_q, out_at_q, out_of_q;   // words of the record at hand so far; the record that comes out

  always_ff @(posedge clk) begin
    begun_q   <= 1'b1;
    if (!begun_q) assume (rst);
    assume (s_word_tdata == {16'd0, in_q, in_at_q});
    if (s_word_tvalid) in_at_q <= s_word_tlast ? '0 : in_at_q + 1'b1;
    if (m_axis_tvalid && m_axis_tready) begin
      out_at_q <= m_axis_tlast ? '0 : out_at_q + 1'b1;
      out_of_q <= m_axis_tdata[15:8];
    end
    offered_q <= m_axis_tvalid && !m_axis_tready;
    data_q    <= m_axis_tdata;
    last_q    <= m_axis_tlast;
    user_q    <= m_axis_tuser;
    in_q      <= in_q + 8'(s_word_tvalid && s_word_tlast);
    out_q     <= out_q + 8'(m_axis_tvalid && m_axis_tready && m_axis_tlast);
    lost_q    <= lost_q + 8'(lost);
    if (rst) begin
      offered_q <= 1'b0;
      in_q      <= '0;
      out_q     <= '0;
      lost_q    <= '0;
      in_at_q   <= '0;
      out_at_q  <= '0;
    end
  end

  always_comb begin
    if (begun_q && !rst) begin
      if (offered_q) assert (m_axis_tvalid && m_axis_tdata == data_q && m_axis_tlast == last_q && m_axis_tuser == user_q);
      if (m_axis_tvalid) assert (m_axis_tdata[7:0] == out_at_q && (out_at_q == '0 || m_axis_tdata[15:8] == out_of_q));
      // Once nothing is inside, every record that went in has come out or was told as lost.
      if (empty && !lost && !dut.drop_q) assert (in_q == 8'(out_q + lost_q));
    end
  end

endmodule

`default_nettype wire
