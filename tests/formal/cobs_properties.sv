// SPDX-License-Identifier: Apache-2.0
//
// cobs_encoder and cobs_decoder, back to back: what is offered stays until it is taken; a zero byte closes a packet and stands nowhere else; the
// decoder gives the packet's bytes, all of them, in order, and calls none of it bad.
`default_nettype none

module cobs_properties (
    input wire logic       clk,
    input wire logic       rst,
    input wire logic [7:0] in_data,
    input wire logic       in_valid,
    input wire logic       in_last,
    input wire logic       out_ready,
    input wire logic       watch       // the byte that goes in now is the one that is looked at
);
  logic       in_ready, valid, busy, m_valid, m_end, m_bad;
  logic [7:0] data, m_data;

  cobs_encoder encoder (
      .clk, .rst, .s_axis_tdata(in_data), .s_axis_tvalid(in_valid), .s_axis_tready(in_ready), .s_axis_tlast(in_last),
      .m_axis_tdata(data), .m_axis_tvalid(valid), .m_axis_tready(out_ready), .busy
  );

  cobs_decoder decoder (
      .clk, .rst, .s_data(data), .s_valid(valid && out_ready), .s_error(1'b0), .m_data, .m_valid, .m_end, .m_bad
  );

  logic       begun_q = 1'b0;
  logic       offered_q, offered_in_q, watching_q;
  logic [7:0] offer_q, in_q;
  logic       in_last_q;
  logic [5:0] went_in_q, came_out_q, at_q;      // bytes
  logic [3:0] closed_in_q, closed_out_q;        // packets
  logic [7:0] byte_q;

  always_ff @(posedge clk) begin
    begun_q      <= 1'b1;
    if (!begun_q) assume (rst);
    // The source keeps what it offers.
    if (offered_in_q) assume (in_valid && in_data == in_q && in_last == in_last_q);
    offered_in_q <= in_valid && !in_ready && !rst;
    in_q         <= in_data;
    in_last_q    <= in_last;
    offered_q    <= valid && !out_ready;
    offer_q      <= data;
    if (in_valid && in_ready) begin
      went_in_q   <= went_in_q + 1'b1;
      closed_in_q <= closed_in_q + 4'(in_last);
      if (watch && !watching_q) begin
        watching_q <= 1'b1;
        at_q       <= went_in_q;
        byte_q     <= in_data;
      end
    end
    came_out_q   <= came_out_q + 6'(m_valid);
    closed_out_q <= closed_out_q + 4'(m_end);
    if (rst) begin
      offered_q    <= 1'b0;
      watching_q   <= 1'b0;
      went_in_q    <= '0;
      came_out_q   <= '0;
      closed_in_q  <= '0;
      closed_out_q <= '0;
    end
  end

  always_comb begin
    if (begun_q && !rst) begin
      if (offered_q) assert (valid && data == offer_q);
      assert (!(m_valid && m_end));
      if (m_end) assert (!m_bad && closed_out_q < closed_in_q);
      if (m_valid) assert (came_out_q < went_in_q);
      if (m_valid && watching_q && came_out_q == at_q) assert (m_data == byte_q);
      if (m_end && 4'(closed_out_q + 1'b1) == closed_in_q && !busy) assert (came_out_q == went_in_q);
    end
  end

endmodule

`default_nettype wire
