// SPDX-License-Identifier: Apache-2.0
//
// sort_output: one sort output: the sort that is next, and its pulse. Model: sim/bit_true/scheduler.py.
//
//   `base` counts what a sort's begin and end are told in: cycles (valve) or drops (droplet). In a cycle with `tick` it has just
//   become what it is; the output register follows one cycle later. `ahead` = base + the guard.
//   A sort is loaded, becomes `due` when ahead reaches its begin (a droplet one also later, within the drop before), is approved or
//   cancelled by sort_scheduler, and begins at the tick in which base is its begin. One that is not approved by then is LATE.
//   Not `enabled`: whatever is loaded ends as DISARMED in that cycle; a pulse that has begun is completed.
//   A sort that begins while the output is high makes the pulse longer, up to its own end.
//   Begins and ends are compared in their low NEAR_BITS bits: sort_scheduler loads a sort only where its begin is still to come, and a delay
//   of 32 bits away at most.
//   Handshake   load, approve, cancel (with cause) and release are pulses. load only while empty, release only while finished. approve and
//               cancel do nothing where the sort has ended meanwhile.
//   Latency     fired pulses in the cycle before the output rises. Reset: empty and low.
`default_nettype none

module sort_output
  import icsort_pkg::*;
(
    input  wire logic                  clk,
    input  wire logic                  rst,

    input  wire logic                  enabled,
    input  wire logic                  droplet,
    input  wire logic                  tick,
    input  wire logic [NEAR_BITS-1:0]  base,
    input  wire logic [NEAR_BITS-1:0]  ahead,

    input  wire logic                  load,
    input  wire logic [NEAR_BITS-1:0]  load_begin,
    input  wire logic [NEAR_BITS-1:0]  load_end,
    input  wire logic                  approve,
    input  wire logic                  cancel,
    input  wire outcome_e              cause,
    input  wire logic                  release_,

    output logic                       empty,
    output logic                       due,
    output logic                       approved,
    output logic                       finished,
    output outcome_e                   fate,       // with finished
    output logic                       fired,
    output logic                       sort_out
);
  typedef enum logic [2:0] {
    Empty,
    Waiting,
    Due,
    Approved,
    Finished
  } state_e;

  state_e               state_q;
  outcome_e             fate_q;
  logic [NEAR_BITS-1:0] begin_q, end_q, low_q;  // of the sort loaded; when the output falls

  // Three bits of each fill a LUT; a plain == becomes a tree of pairs.
  function automatic logic same(input logic [NEAR_BITS-1:0] a, input logic [NEAR_BITS-1:0] b);
    logic [NEAR_BITS/3:0] apart;
    apart = '0;
    for (int unsigned i = 0; i < NEAR_BITS; i++) apart[i/3] = apart[i/3] || a[i] != b[i];
    return apart == '0;
  endfunction

  wire at_begin = same(base, begin_q);
  wire waits    = state_q inside {Waiting, Due, Approved};
  wire fire     = state_q == Approved && tick && at_begin && enabled;

  assign empty    = state_q == Empty;
  assign due      = state_q == Due;
  assign approved = state_q == Approved;
  assign finished = state_q == Finished;
  assign fate     = fate_q;
  assign fired    = fire;

  always_ff @(posedge clk) begin
    unique case (state_q)
      Empty: if (load) state_q <= Waiting;
      Waiting: if ((tick || droplet) && same(ahead, begin_q)) state_q <= Due;
      Due: if (approve) state_q <= Approved;
      Approved: ;
      default: if (release_) state_q <= Empty;
    endcase
    if (load) begin
      begin_q <= load_begin;
      end_q   <= load_end;
    end
    if (waits) begin
      if (cancel) begin
        state_q <= Finished;
        fate_q  <= cause;
      end
      if ((tick || droplet) && at_begin && state_q != Approved) begin
        state_q <= Finished;
        fate_q  <= LATE;
      end
      if (tick && at_begin && state_q == Approved) begin
        state_q <= Finished;
        fate_q  <= SORTED;
      end
      if (!enabled) begin
        state_q <= Finished;
        fate_q  <= DISARMED;
      end
    end
    if (state_q == Empty && load && !enabled) begin
      state_q <= Finished;
      fate_q  <= DISARMED;
    end

    if (fire) begin
      sort_out <= 1'b1;
      low_q    <= end_q;
    end else if (tick && same(base, low_q)) begin
      sort_out <= 1'b0;
    end

    if (rst) begin
      state_q  <= Empty;
      fate_q   <= SORTED;
      sort_out <= 1'b0;
    end
  end

  // The output rises only while enabled, at its begin; nothing is loaded upon a sort that waits.
  assert property (@(posedge clk) disable iff (rst) !$rose(sort_out) || $past(enabled) && $past(fire));
  assert property (@(posedge clk) disable iff (rst) !load || empty);
  assert property (@(posedge clk) disable iff (rst) !release_ || finished);

  sort_fires: cover property (@(posedge clk) disable iff (rst) fire);
  sort_late: cover property (@(posedge clk) disable iff (rst) waits && (tick || droplet) && at_begin && state_q != Approved);
  sort_cancelled_while_waiting: cover property (@(posedge clk) disable iff (rst) state_q == Waiting && cancel);
  sort_cancelled_while_due: cover property (@(posedge clk) disable iff (rst) state_q == Due && cancel);
  approved_sort_cancelled: cover property (@(posedge clk) disable iff (rst) state_q == Approved && cancel);
  disarmed_while_approved: cover property (@(posedge clk) disable iff (rst) state_q == Approved && !enabled);
  disarmed_in_a_pulse: cover property (@(posedge clk) disable iff (rst) sort_out && !enabled);
  fires_in_the_pulse_before: cover property (@(posedge clk) disable iff (rst) fire && sort_out);

endmodule

`default_nettype wire
