// SPDX-License-Identifier: Apache-2.0
//
// pulse_synchronizer: two clocks that tick as they like, and a reset at any time. No pulse is made up and none doubled: those that were
// given are those that were taken, or all but the one that is on its way.
`default_nettype none

module pulse_synchronizer_properties (
    input wire logic s_clk,
    input wire logic m_clk,
    input wire logic rst,
    input wire logic pulse
);
  logic       ready, given;
  logic [3:0] taken_q, given_q;
  logic       begun_q = 1'b0;  // reset has been

  pulse_synchronizer dut (.rst, .s_clk, .s_pulse(pulse), .s_ready(ready), .m_clk, .m_pulse(given));

  always_ff @(posedge s_clk or posedge rst) begin
    if (rst) begin
      begun_q <= 1'b1;
      taken_q <= '0;
    end else begin
      begun_q <= begun_q;
      if (pulse && ready) taken_q <= taken_q + 1'b1;
    end
  end

  always_ff @(posedge m_clk or posedge rst) begin
    if (rst) given_q <= '0;
    else if (given) given_q <= given_q + 1'b1;
  end

  wire [3:0] on_its_way = taken_q - given_q;

  // For induction: a pulse is the one place where the levels change that go round from sent_q to seen_q and back. One that a synchronizer has
  // not taken since reset is not looked at: it counts as the one before it.
  wire [2:0] s_edges = dut.s_reset.ready_q, m_edges = dut.m_reset.ready_q;  // since reset, a bit each
  wire [1:0] sent    = dut.sent_level.sync_q, seen = dut.seen_level.sync_q;
  wire [5:0] round;

  assign round[0] = dut.sent_q;
  assign round[1] = m_edges[0] ? sent[0] : round[0];
  assign round[2] = m_edges[1] ? sent[1] : round[1];
  assign round[3] = dut.seen_q;
  assign round[4] = s_edges[0] ? seen[0] : round[3];
  assign round[5] = s_edges[1] ? seen[1] : round[4];

  always_comb begin
    if (begun_q) begin
      assert (s_edges == 3'b000 || s_edges == 3'b001 || s_edges == 3'b011 || s_edges == 3'b111);
      assert (m_edges == 3'b000 || m_edges == 3'b001 || m_edges == 3'b011 || m_edges == 3'b111);
      if (rst) assert (s_edges == '0 && m_edges == '0);
      if (!s_edges[2]) assert (round == '0);
      if (!m_edges[2]) assert (!dut.seen_q);
      assert ($countones(round[5:1] ^ round[4:0]) <= 1);
      assert (on_its_way == 4'(dut.sent_q != dut.seen_q));
    end
    if (begun_q && !rst) begin
      assert (on_its_way <= 1);
      if (given) assert (on_its_way == 1);
      if (ready) assert (on_its_way == 0);
    end
  end

endmodule

`default_nettype wire
