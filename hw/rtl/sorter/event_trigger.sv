// SPDX-License-Identifier: Apache-2.0
//
// event_trigger: which lines belong to an event. Bit-true model: sim/bit_true/event.py.
//
//   Armed, a line whose sum reaches the threshold is line 0 of an event; the next H - 1 lines belong to it whatever they
//   hold; then the trigger arms again at the first line below the threshold.
//   The first line is written to the line buffer on trial and kept (`commit`) or given back (`rollback`) once its sum is known;
//   later lines are committed beat by beat.
//   Handshake   beat_* come from line_input, one beat a cycle, never stalled here. store/commit/rollback answer in the
//               same cycle. m_event is pushed when an event is accepted, m_done when its last line is complete: both go to
//               FIFOs of the same depth, so m_done always finds room where m_event did.
//   Counting    a line that reaches the threshold behind one below it is a cell that begins: a pulse of accepted, missed or, where
//               it falls into another event's window or the trigger is not armed yet, of dead_time.
//   Latency     0 cycles; accepted, missed and dead_time are pulses one cycle later.
//   Reset       armed, idle; an unfinished event is forgotten.
//   Overflow    m_event_tready low at the moment of the trigger: the event is not accepted, its lines are not stored, `missed`
//               pulses, and the trigger goes on as if it had been accepted.
`default_nettype none

module event_trigger #(
    parameter int unsigned H        = 40,
    parameter int unsigned SUM_BITS = 22
) (
    input  wire logic                 clk,
    input  wire logic                 rst,

    input  wire logic [31:0]          threshold,

    input  wire logic                 beat_valid,
    input  wire logic                 beat_store,
    input  wire logic                 beat_summed,
    input  wire logic [SUM_BITS-1:0]  beat_sum,
    input  wire logic                 beat_end,
    input  wire logic                 beat_bad,
    input  wire logic [47:0]          beat_time,
    input  wire logic [47:0]          line_time,

    output logic                      store,
    output logic                      commit,
    output logic                      rollback,

    output logic [47:0]               m_event_tdata,   // the time that the event's line 0 brought
    output logic                      m_event_tvalid,
    input  wire logic                 m_event_tready,

    output logic [48:0]               m_done_tdata,    // {aborted, timestamp of the window's last pixel}
    output logic                      m_done_tvalid,

    output logic                      window_open,     // an event's window, or its last line, is not complete

    output logic                      accepted,
    output logic                      missed,
    output logic                      dead_time
);
  if (H < 1) begin : gen_height_error
    $error("event_trigger: H must be at least 1");
  end
  if (SUM_BITS > 32) begin : gen_sum_error
    $error("event_trigger: a line sum must fit the 32 bits of the threshold");
  end

  localparam int unsigned LineBits = $clog2(H + 1);

  typedef enum logic [1:0] {
    Armed,
    Window,
    Rearm
  } state_e;

  state_e               state_q;
  logic [LineBits-1:0]  left_q;       // lines of the window still to come
  logic                 stored_q;     // the window's event was accepted
  logic                 bad_q;        // one of its lines was malformed
  logic                 last_q;       // the line at hand is the last of the window
  logic                 over_q;       // the line before reached the threshold
  logic [47:0]          pixel_time_q;

  wire over   = 32'(beat_sum) >= threshold;
  wire summed = beat_valid && beat_summed;
  wire start  = summed && state_q == Armed && over;
  wire accept = start && m_event_tready;
  wire in_window = stored_q && state_q == Window;  // from the second line on

  assign store    = beat_valid && beat_store && (state_q == Armed || in_window);
  assign commit   = accept || (store && in_window);
  assign rollback = summed && state_q == Armed && !accept;

  assign m_event_tdata  = line_time;
  assign m_event_tvalid = start;

  // The last line's sum and its end may fall on one beat.
  wire last = summed ? (state_q == Window ? left_q == LineBits'(1) : start && H == 1) : last_q;
  wire done = beat_valid && beat_end && last && (accept || stored_q);

  assign window_open   = state_q == Window || last_q;
  assign m_done_tvalid = done;
  assign m_done_tdata  = {beat_bad || (bad_q && !start), summed ? beat_time : pixel_time_q};

  always_ff @(posedge clk) begin
    accepted  <= accept;
    missed    <= start && !m_event_tready;
    dead_time <= summed && over && !over_q && !start;
    if (summed) begin
      over_q       <= over;
      pixel_time_q <= beat_time;
      last_q       <= last;
      unique case (state_q)
        Armed: begin
          if (start) begin
            state_q  <= H == 1 ? Rearm : Window;
            left_q   <= LineBits'(H - 1);
            stored_q <= accept;
            bad_q    <= 1'b0;
          end
        end
        Window: begin
          left_q <= left_q - 1'b1;
          if (left_q == LineBits'(1)) state_q <= Rearm;
        end
        default: if (!over) state_q <= Armed;
      endcase
    end
    if (beat_valid && beat_end) begin
      last_q <= 1'b0;
      if (beat_bad) bad_q <= 1'b1;
      if (last) stored_q <= 1'b0;
    end
    if (rst) begin
      state_q  <= Armed;
      stored_q <= 1'b0;
      last_q   <= 1'b0;
      over_q   <= 1'b0;
      accepted <= 1'b0;
      missed   <= 1'b0;
      dead_time <= 1'b0;
    end
  end

  // A beat is never both kept and given back, and nothing is kept that was not stored.
  assert property (@(posedge clk) disable iff (rst) !(commit && rollback));
  assert property (@(posedge clk) disable iff (rst) !commit || store);
  // Only a cell that begins starts an event, so that accepted, missed and dead_time are all of them.
  assert property (@(posedge clk) disable iff (rst) !start || !over_q);

endmodule

`default_nettype wire
