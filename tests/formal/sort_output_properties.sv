// SPDX-License-Identifier: Apache-2.0
//
// sort_output, valve and droplet: it never rises while disarmed, never early, never late, never without approval; each sort
// loaded ends once, and as SORTED exactly where its pulse came.
`default_nettype none

module sort_output_properties
  import icsort_pkg::*;
(
    input wire logic                 clk,
    input wire logic                 rst,
    input wire logic                 enabled,
    input wire logic                 droplet,
    input wire logic                 next_drop,
    input wire logic                 load,
    input wire logic [NEAR_BITS-1:0] load_begin,
    input wire logic [NEAR_BITS-1:0] load_end,
    input wire logic                 approve,
    input wire logic                 cancel,
    input wire logic [3:0]           cause,
    input wire logic                 release_
);
  logic                  tick, empty, due, approved, finished, fired, sort_out;
  outcome_e              fate;
  logic [NEAR_BITS-1:0]  base;
  logic [NEAR_BITS-1:0]  drop_q;
  logic                  tick_q, droplet_q;

  // Time as sort_scheduler tells it: a cycle, or a drop, after the other.
  always_ff @(posedge clk) begin
    tick_q    <= droplet_q ? next_drop : 1'b1;
    drop_q    <= drop_q + NEAR_BITS'(droplet_q ? next_drop : 1'b1);
    droplet_q <= droplet_q;
    if (rst) droplet_q <= droplet;
  end
  assign tick = tick_q;
  assign base = drop_q;

  sort_output dut (
      .clk, .rst, .enabled, .droplet(droplet_q), .tick, .base, .ahead(base + NEAR_BITS'(droplet_q ? 1 : GUARD)),
      .load, .load_begin, .load_end, .approve, .cancel, .cause(outcome_e'(cause)), .release_,
      .empty, .due, .approved, .finished, .fate, .fired, .sort_out
  );

  logic                  begun_q = 1'b0;
  logic                  open_q, approved_q, came_q, was_high_q, was_enabled_q, may_rise_q;
  logic [NEAR_BITS-1:0]  begin_q;

  always_ff @(posedge clk) begin
    begun_q <= 1'b1;
    if (!begun_q) assume (rst);
    assume (!load || empty);
    assume (!release_ || finished);
    assume (!cancel || outcome_e'(cause) != SORTED);

    if (load) begin
      open_q     <= 1'b1;
      approved_q <= 1'b0;
      came_q     <= 1'b0;
      begin_q    <= load_begin;
    end
    if (approve && due) approved_q <= 1'b1;
    if (fired) came_q <= 1'b1;
    if (release_) open_q <= 1'b0;
    was_high_q    <= sort_out;
    was_enabled_q <= enabled;
    may_rise_q    <= fired;
    if (rst) begin
      open_q     <= 1'b0;
      was_high_q <= 1'b0;
    end
  end

  always_comb begin
    if (begun_q && !rst) begin
      assert (open_q == !empty);
      if (fired) begin
        assert (enabled && tick && open_q && approved_q && !came_q && !finished);
        assert (base == begin_q);                      // neither early nor late
      end
      if (sort_out && !was_high_q) assert (was_enabled_q && may_rise_q);
      if (finished) assert (came_q == (fate == SORTED));  // the counter that counts it is the truth
      if (open_q && !finished) assert (!came_q);
      if (approved) assert (approved_q);
      // What ties the copy here to what is inside, for the induction.
      if (open_q) assert (dut.begin_q == begin_q);
    end
  end

endmodule

`default_nettype wire
