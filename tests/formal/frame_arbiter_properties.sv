// SPDX-License-Identifier: Apache-2.0
//
// frame_arbiter: no word of one source within a frame of another, nothing made up, doubled or dropped; what is offered stays; the lowest that
// waits goes first.
`default_nettype none

module frame_arbiter_properties (
    input wire logic        clk,
    input wire logic        rst,
    input wire logic [95:0] s_axis_tdata,
    input wire logic [2:0]  s_axis_tvalid,
    input wire logic [2:0]  s_axis_tlast,
    input wire logic [23:0] s_axis_tuser,
    input wire logic        m_axis_tready
);
  logic [2:0]  s_axis_tready;
  logic [31:0] m_axis_tdata;
  logic [7:0]  m_axis_tuser;
  logic        m_axis_tvalid, m_axis_tlast;

  frame_arbiter #(.SOURCES(3)) dut (.*);

  logic        begun_q = 1'b0;
  logic        held_q;                // a word was offered and not taken
  logic [31:0] data_q;
  logic [7:0]  user_q;
  logic        last_q;
  logic [2:0]  inside_q;              // sources of which a frame has begun to leave and not ended
  logic [2:0]  waiting_q;             // sources whose word was offered and not taken
  logic [95:0] offered_data_q;
  logic [23:0] offered_user_q;
  logic [2:0]  offered_last_q;

  wire [2:0] taken = s_axis_tvalid & s_axis_tready;

  always_ff @(posedge clk) begin
    begun_q <= 1'b1;
    if (!begun_q) assume (rst);
    held_q         <= m_axis_tvalid && !m_axis_tready;
    data_q         <= m_axis_tdata;
    user_q         <= m_axis_tuser;
    last_q         <= m_axis_tlast;
    waiting_q      <= s_axis_tvalid & ~s_axis_tready;
    offered_data_q <= s_axis_tdata;
    offered_user_q <= s_axis_tuser;
    offered_last_q <= s_axis_tlast;
    inside_q       <= (inside_q | taken) & ~(taken & s_axis_tlast);
    if (rst) begin
      held_q    <= 1'b0;
      waiting_q <= '0;
      inside_q  <= '0;
    end
  end

  for (genvar i = 0; i < 3; i++) begin : gen_source
    always_comb begin
      // A source holds what it has offered.
      if (begun_q && !rst && waiting_q[i]) begin
        assume (s_axis_tvalid[i] && s_axis_tdata[i*32+:32] == offered_data_q[i*32+:32]
                && s_axis_tuser[i*8+:8] == offered_user_q[i*8+:8] && s_axis_tlast[i] == offered_last_q[i]);
      end
      if (begun_q && !rst) begin
        // A word that is taken is the one that leaves.
        if (taken[i]) assert (m_axis_tvalid && m_axis_tready && m_axis_tdata == s_axis_tdata[i*32+:32]
                              && m_axis_tuser == s_axis_tuser[i*8+:8] && m_axis_tlast == s_axis_tlast[i]);
        // None of it while a frame of another is under way.
        if (taken[i]) assert ((inside_q & ~(3'd1 << i)) == '0);
        // Of those that begin in the same cycle, the lowest.
        if (taken[i] && inside_q == '0 && !held_q) assert ((s_axis_tvalid & ((3'd1 << i) - 3'd1)) == '0);
      end
    end
  end

  always_comb begin
    if (begun_q && !rst) begin
      assert ((taken & (taken - 3'd1)) == '0);
      assert ((inside_q & (inside_q - 3'd1)) == '0);
      assert ((m_axis_tvalid && m_axis_tready) == (taken != '0));
      if (held_q) assert (m_axis_tvalid && m_axis_tdata == data_q && m_axis_tuser == user_q && m_axis_tlast == last_q);
      // Where nothing is under way, whoever waits is served.
      if (inside_q == '0) assert (m_axis_tvalid == (s_axis_tvalid != '0));
      // The state, which induction must know: what is held or under way is the source that was chosen.
      if (held_q) assert (dut.begun_q && waiting_q[dut.source_q]);
      if (inside_q != '0) assert (dut.begun_q && inside_q == (3'd1 << dut.source_q));
      if (dut.begun_q) assert (inside_q != '0 || held_q);
      if (dut.begun_q) assert (dut.source_q < 2'd3);
    end
  end

endmodule

`default_nettype wire
