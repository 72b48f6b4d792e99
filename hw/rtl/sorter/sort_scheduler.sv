// SPDX-License-Identifier: Apache-2.0
//
// sort_scheduler: decides what becomes of each event and fires the sort pulses. Model: sim/bit_true/scheduler.py.
//
//   An event is decided in the cycle in which its entry in the side FIFO (s_event), the end of its last line (s_done) and its gate
//   result are all there; all three are taken together. `now` is the timestamp of that cycle. First rule that holds:
//     ABORTED, DISARMED, REJECTED, LATE (event time + drop_delay - now < 4), CONFLICT (not at least one low cycle behind
//     the pulse scheduled before, or the queue full), else SORTED: scheduled.
//   sort_pulse is high in the cycles whose timestamp is sort time .. sort time + pulse_cycles - 1 (0 acts as 1; taken at the decision).
//   Disarming empties the queue at once, each entry counted by `cancelled`; a pulse that has begun is completed.
//   Handshake   s_event, s_done, result: valid/ready, taken together. decided: pulse with outcome, event_time, last_time.
//   Latency     decision 0 cycles after the last of the three arrived, if s_event was there for 2 cycles before (drop_delay is
//               added in a register). counted_*: pulses in the cycle of the decision; fired in the cycle before the pulse.
//   Interval    1 decision every 2 cycles.
//   Reset       queue empty, pulse low.
//   Overflow    queue full: CONFLICT.
//   Times are compared modulo 2^48, so that the timestamp may wrap.
`default_nettype none

module sort_scheduler #(
    parameter int unsigned QUEUE_DEPTH = 64,
    localparam int unsigned CountBits = $clog2(QUEUE_DEPTH + 1)
) (
    input  wire logic                 clk,
    input  wire logic                 rst,

    input  wire logic [47:0]          timestamp,
    input  wire logic                 armed,
    input  wire logic [31:0]          drop_delay,
    input  wire logic [15:0]          pulse_cycles,

    input  wire logic [47:0]          s_event_tdata,  // event time
    input  wire logic                 s_event_tvalid,
    output logic                      s_event_tready,

    input  wire logic [48:0]          s_done_tdata,   // {aborted, time of the last pixel}
    input  wire logic                 s_done_tvalid,
    output logic                      s_done_tready,

    input  wire logic                 result_valid,
    output logic                      result_ready,
    input  wire logic                 result_pass,

    output logic                      decided,
    output logic [2:0]                outcome,
    output logic [47:0]               event_time,
    output logic [47:0]               last_time,

    output logic                      fired,
    output logic [CountBits-1:0]      cancelled,
    output logic                      pending,        // a sort waits or its pulse is high
    output logic                      sort_pulse
);
  if (QUEUE_DEPTH < 2 || (QUEUE_DEPTH & (QUEUE_DEPTH - 1)) != 0) begin : gen_depth_error
    $error("sort_scheduler: QUEUE_DEPTH must be a power of two, at least 2");
  end

  localparam int unsigned AddrBits = $clog2(QUEUE_DEPTH);

  typedef enum logic [2:0] {
    Sorted   = 3'd0,
    Rejected = 3'd1,
    Disarmed = 3'd2,
    Late     = 3'd3,
    Aborted  = 3'd4,
    Conflict = 3'd5
  } outcome_e;

  logic [63:0]           queue [QUEUE_DEPTH];   // {pulse cycles, sort time}
  logic [AddrBits-1:0]   write_q, read_q;
  logic [CountBits-1:0]  count_q;
  logic [47:0]           sort_time_q;
  logic                  sort_time_valid_q;
  logic [47:0]           end_q;                 // first low cycle behind the last pulse that fires or will
  logic [47:0]           pulse_end_q;           // the same, of the pulse that is high

  wire logic [15:0] width     = pulse_cycles == '0 ? 16'd1 : pulse_cycles;
  wire logic [63:0] head      = queue[read_q];
  wire logic [47:0] next_time = timestamp + 48'd1;
  wire logic        empty     = count_q == '0;
  wire logic        full      = count_q == CountBits'(QUEUE_DEPTH);

  wire logic signed [47:0] slack = $signed(sort_time_q - timestamp);
  wire logic signed [47:0] gap   = $signed(sort_time_q - end_q);
  wire logic               push  = decided && outcome == Sorted;

  assign decided        = s_event_tvalid && sort_time_valid_q && s_done_tvalid && result_valid;
  assign s_event_tready = decided;
  assign s_done_tready  = decided;
  assign result_ready   = decided;
  assign event_time     = s_event_tdata;
  assign last_time      = s_done_tdata[47:0];

  always_comb begin
    if (s_done_tdata[48]) outcome = Aborted;
    else if (!armed) outcome = Disarmed;
    else if (!result_pass) outcome = Rejected;
    else if (slack < 48'sd4) outcome = Late;
    else if (full || (pending && gap <= 48'sd0)) outcome = Conflict;
    else outcome = Sorted;
  end

  assign pending   = !empty || sort_pulse;
  assign fired     = armed && !empty && head[47:0] == next_time;
  assign cancelled = armed ? '0 : count_q;

  always_ff @(posedge clk) begin
    sort_time_q       <= s_event_tdata + 48'(drop_delay);
    sort_time_valid_q <= s_event_tvalid && !decided;

    if (push) begin
      queue[write_q] <= {width, sort_time_q};
      write_q        <= write_q + 1'b1;
      end_q          <= sort_time_q + 48'(width);
    end
    if (fired) read_q <= read_q + 1'b1;
    count_q <= count_q + CountBits'(push) - CountBits'(fired);
    if (!armed) begin
      read_q  <= write_q;
      count_q <= '0;
      end_q   <= pulse_end_q;
    end

    if (fired) begin
      sort_pulse  <= 1'b1;
      pulse_end_q <= head[47:0] + 48'(head[63:48]);
    end else if (next_time == pulse_end_q) begin
      sort_pulse <= 1'b0;
    end

    if (rst) begin
      write_q           <= '0;
      read_q            <= '0;
      count_q           <= '0;
      sort_time_valid_q <= 1'b0;
      sort_pulse        <= 1'b0;
    end
  end

  // A pulse begins only while armed, only at its time, and never upon another one.
  assert property (@(posedge clk) disable iff (rst) !$rose(sort_pulse) || ($past(armed) && $past(fired)));
  assert property (@(posedge clk) disable iff (rst) !fired || !sort_pulse);
  // What waits is always still to come: no sort is forgotten in the queue.
  assert property (@(posedge clk) disable iff (rst) empty || $signed(head[47:0] - timestamp) > 0);
  assert property (@(posedge clk) disable iff (rst) !push || (armed && result_pass && !s_done_tdata[48]));

endmodule

`default_nettype wire
