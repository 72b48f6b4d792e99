// SPDX-License-Identifier: Apache-2.0
//
// posterior_settings: the constants of the posteriors that are in force, and whether they are those of the next event.
//
//   Commit      takes new_multiplier and new_shift, and with them holds the events that have begun and whose logits were not taken: what they are
//               goes by settings of before. Of them, and while the multiplier is 0, `calibrated` is low: no gate of such an event is known.
//   Events      `begun` is a cycle for each event, `taken` one for each event's logits, in the order of events; at most EVENTS are between them.
//               An event that begins in the cycle of the commit is one of before; logits taken in it have gone by what was in force.
//   Latency     multiplier, shift and calibrated follow 1 cycle after commit, begun and taken; calibrated is that of the logits that come next.
//   Reset       multiplier 0: nothing is calibrated before the first commit.
`default_nettype none

module posterior_settings #(
    parameter int unsigned EVENTS = 16
) (
    input  wire logic        clk,
    input  wire logic        rst,

    input  wire logic        commit,
    input  wire logic [17:0] new_multiplier,
    input  wire logic [5:0]  new_shift,
    input  wire logic        begun,
    input  wire logic        taken,

    output logic [17:0]      multiplier,
    output logic [5:0]       shift,
    output logic             calibrated
);
  localparam int unsigned CountBits = $clog2(EVENTS + 1);

  logic [CountBits-1:0] open_q, open;  // events between begun and taken
  logic [CountBits-1:0] stale_q;       // of these the ones of before the commit

  assign open       = open_q + CountBits'(begun) - CountBits'(taken);
  assign calibrated = stale_q == '0 && multiplier != '0;

  always_ff @(posedge clk) begin
    open_q <= open;
    if (commit) begin
      multiplier <= new_multiplier;
      shift      <= new_shift;
      stale_q    <= open;
    end else if (taken && stale_q != '0) begin
      stale_q <= stale_q - 1'b1;
    end
    if (rst) begin
      multiplier <= '0;
      shift      <= '0;
      open_q     <= '0;
      stale_q    <= '0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !taken || open_q != '0);
  assert property (@(posedge clk) disable iff (rst) open_q <= CountBits'(EVENTS));
  assert property (@(posedge clk) disable iff (rst) stale_q <= open_q);

  committed_while_events_are_open: cover property (@(posedge clk) disable iff (rst) commit && open_q != '0);
  committed_again_before_they_are_taken: cover property (@(posedge clk) disable iff (rst) commit && stale_q != '0);
  begun_in_the_cycle_of_the_commit: cover property (@(posedge clk) disable iff (rst) commit && begun);
  taken_in_the_cycle_of_the_commit: cover property (@(posedge clk) disable iff (rst) commit && taken);
  logits_of_before_the_commit: cover property (@(posedge clk) disable iff (rst) taken && stale_q != '0);

endmodule

`default_nettype wire
