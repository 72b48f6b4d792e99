// SPDX-License-Identifier: Apache-2.0
//
// schedule_settings, told of any one word: what is in force is what the shadow held at the last commit, all of it or nothing; while it is frozen
// nothing that is in force changes; each request is answered once.
`default_nettype none

module schedule_settings_properties (
    input wire logic         clk,
    input wire logic         rst,
    input wire logic         view,
    input wire logic         reg_req,
    input wire logic         reg_we,
    input wire logic [5:0]   reg_index,
    input wire logic [31:0]  reg_wdata,
    input wire logic         commit,
    input wire logic         frozen,
    input wire logic [5:0]   index,
    input wire logic [5:0]   looked_at   // any word, always the same
);
  logic        reg_wr_ack, reg_rd_ack, valid, restart;
  logic [31:0] reg_rdata, serial, word, mode, before_cycles, after_cycles, drop_increment, drop_timeout;

  schedule_settings dut (.*);

  logic         begun_q = 1'b0;
  logic [5:0]   at_q;
  logic         asked_q, we_q, view_q, frozen_q, valid_q, rst_q;
  logic [5:0]   index_q;
  logic [31:0]  wdata_q, shadow_q, in_force_q, committed_q;

  wire take = commit && !frozen && !dut.copying_q;

  always_ff @(posedge clk) begin
    begun_q  <= 1'b1;
    if (!begun_q) begin
      assume (rst);
      at_q <= looked_at;
    end
    assume (looked_at < 6'd41);
    // One request at a time, and it stays on the bus until it is answered.
    if (asked_q && !reg_wr_ack && !reg_rd_ack) begin
      assume (!reg_req && reg_we == we_q && reg_index == index_q && reg_wdata == wdata_q && view == view_q);
    end
    asked_q    <= !rst && (reg_req || (asked_q && !reg_wr_ack && !reg_rd_ack));
    we_q       <= reg_we;
    view_q     <= view;
    index_q    <= reg_index;
    wdata_q    <= reg_wdata;
    frozen_q   <= frozen;
    valid_q    <= valid;
    rst_q      <= rst;
    in_force_q <= dut.mem[{1'b1, at_q}];
    if (take) committed_q <= dut.mem[{1'b0, at_q}];
  end

  always_comb begin
    if (begun_q) assert (at_q < 6'd41);
    if (begun_q && !rst && !rst_q) begin
      // Frozen and valid, what is in force stays; nothing valid is ever half of a set.
      if (frozen_q && valid_q) assert (valid && dut.mem[{1'b1, at_q}] == in_force_q);
      if (valid) assert (dut.mem[{1'b1, at_q}] == committed_q);
      if (valid && valid_q) assert (dut.mem[{1'b1, at_q}] == in_force_q);
      if (reg_wr_ack || reg_rd_ack || dut.asked_q || dut.reading_q != 0) assert (asked_q);
      assert ($onehot0({reg_wr_ack, reg_rd_ack, dut.asked_q, dut.reading_q}));
      // For the induction: the shadow stands still while it is copied, and where the copy has been it is right.
      if (dut.copying_q) begin
        assert (!valid && dut.step_q < 6'd44);
        assert (dut.mem[{1'b0, at_q}] == committed_q);
        if (dut.step_q > at_q + 6'd3) assert (dut.mem[{1'b1, at_q}] == committed_q);
        if (dut.step_q == at_q + 6'd1) assert (dut.address_q == {1'b0, at_q});
        if (dut.step_q == at_q + 6'd2) assert (dut.data_q == committed_q);
        if (dut.step_q == at_q + 6'd3) assert (dut.word == committed_q);
      end
    end
  end

endmodule

`default_nettype wire
