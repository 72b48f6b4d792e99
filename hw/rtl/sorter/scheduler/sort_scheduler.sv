// SPDX-License-Identifier: Apache-2.0
//
// sort_scheduler: decides what becomes of each event, and what may still become of each sort that waits. Model:
// sim/bit_true/scheduler.py; docs/sorter.md has every rule.
//
//   One engine does one job after the other, each in a fixed number of cycles but for the cells that it looks at. Idle, it takes the
//   first of these jobs that there is, of several outputs that of the lowest:
//     Begin     `enabled` rose: target and every-n-th counts start again (7 cycles)
//     Finish    a sort of an output has ended: forget it (2), or cancel it (7, and until m_amend_ready)
//     Head      an output is empty and its queue is not: plan the next sort and load it (19; 4 where it need not be planned)
//     Insert    a cell was seen: remember it, and cancel approved sorts that it comes too near to (10)
//     Commit    a sort is due: look at its neighbours, approve or cancel it (6 + 5 for each cell looked at + 1)
//     Decide    the result of the oldest event is there (2; 25 with a wish; + 5 for each cell looked at + 2)
//   Positions (x) are told in cycles (valve) or sixteenths of a drop (droplet), begins and ends of pulses in cycles or drops.
//   Cells       the last CELLS cells are remembered. A sort whose neighbourhood is about to be overwritten ends as AMBIGUOUS.
//   Handshake   s_cell, s_decision: valid/ready; the decision is of the oldest event inserted. decided pulses with outcome and direction
//               as the decision is taken. m_amend: valid/ready, a sort that was decided as SORTED and did not come: the number
//               of its decision since reset, why, and its direction.
//   Counting    each event ends once: by decided with another outcome than SORTED, by an amendment, or by `fired` of its output.
//   Latency     a decision as above; sort_out is exact to the cycle.
//   Reset       everything is forgotten, outputs low.
//   Overflow    a queue full: CONFLICT. More than CELLS - 10 cells between an event and its decision or its pulse: AMBIGUOUS.
`default_nettype none

module sort_scheduler
  import icsort_pkg::*;
#(
    parameter int unsigned CELLS  = 256,  // cells remembered, a power of two
    parameter int unsigned SORTS  = 64,   // sorts waiting for each output, a power of two
    parameter int unsigned EVENTS = 16    // undecided events
) (
    input  wire logic                      clk,
    input  wire logic                      rst,

    input  wire logic [TIME_BITS-1:0]      timestamp,
    input  wire logic                      drop_tick,
    input  wire logic [TIME_BITS-5:0]      drop_number,

    input  wire logic                      armed,
    input  wire logic                      testing,         // never together with armed
    input  wire logic                      test_events,     // testing: every event is a wish for test_direction
    input  wire logic [2:0]                test_direction,

    input  wire logic                      restart,         // a new set of settings is in force
    /* verilator lint_off UNUSEDSIGNAL */  // the drop clock has a part of it
    input  wire schedule_mode_t            mode,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire logic [31:0]               before_cycles,
    input  wire logic [31:0]               after_cycles,
    output logic [5:0]                     setting_index,
    input  wire logic [31:0]               setting,         // 3 cycles behind setting_index

    input  wire logic                      s_cell_valid,
    output logic                           s_cell_ready,
    input  wire logic                      s_cell_event,
    input  wire logic                      s_cell_doubtful,
    input  wire logic [TIME_BITS-1:0]      s_cell_position,

    input  wire logic                      s_decision_tvalid,
    output logic                           s_decision_tready,
    input  wire logic [DIRECTIONS-1:0]     s_decision_hit,
    /* verilator lint_off UNUSEDSIGNAL */  // a truncated event is sorted like another
    input  wire logic [EVENT_FLAGS-1:0]    s_decision_flags,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire logic                      s_decision_fault,

    output logic                           decided,
    output outcome_e                       outcome,
    output logic [2:0]                     direction,       // OUTPUT_NONE where none was wished

    output logic                           m_amend_valid,
    input  wire logic                      m_amend_ready,
    output logic [31:0]                    m_amend_event,
    output outcome_e                       m_amend_outcome,
    output logic [2:0]                     m_amend_direction,

    output logic [DIRECTIONS-1:0]          fired,           // one for each event sorted
    output logic                           tick,            // `base` has just become what it is
    output logic                           pending,         // a sort waits, or an output is high
    output logic [DIRECTIONS-1:0]          sort_out
);
  if (CELLS < 32 || (CELLS & (CELLS - 1)) != 0) begin : gen_cells_error
    $error("sort_scheduler: CELLS must be a power of two, at least 32");
  end

  localparam int unsigned CellBits  = $clog2(CELLS);
  localparam int unsigned EventBits = $clog2(EVENTS + 1);
  localparam logic [3:0]  MostSteps = 4'd8;    // cells looked at, each way
  localparam logic [CellBits-1:0] Margin = CellBits'(10);

  // Words of an output's state.
  localparam logic [2:0] NearUntil = 3'd0, LastEnd = 3'd1, DeadUntil = 3'd2, PaidUntil = 3'd3,
      Counts = 3'd4, Low = 3'd5, High = 3'd6;
  // Words of its settings.
  localparam logic [2:0] Delay = 3'd0, Width = 3'd1, Every = 3'd2, Target = 3'd3, Cost = 3'd4, Burst = 3'd5;

  typedef enum logic [3:0] {Idle, Begin, Finish, Cancel, Head, Insert, Commit, Decide, Plan, Check, Walk, Verdict, Push} state_e;
  typedef enum logic [1:0] {ByDecide, ByHead, ByCommit} caller_e;
  typedef enum logic [2:0] {NewDifference, NewNothing, NewTurn, NewTurnAndCount, NewCount} new_word_e;

  typedef struct packed {
    logic        resolved;   // decided, or no event
    logic        doubtful;
    logic [2:0]  direction;  // for which it will be sorted; else OUTPUT_NONE
  } cell_state_t;

  localparam cell_state_t Unwanted = '{resolved: 1'b1, doubtful: 1'b0, direction: OUTPUT_NONE};

  function automatic logic [2:0] lowest(input logic [DIRECTIONS-1:0] set);
    lowest = '0;
    for (int i = DIRECTIONS - 1; i >= 0; i--) if (set[i]) lowest = 3'(i);
  endfunction

  wire enabled = armed || testing;
  wire single  = mode.purity == MODE_SINGLE;
  wire yield   = mode.purity == MODE_YIELD;

  // ---------------------------------------------------------------- what time it is
  logic                        tick_q;
  logic [TIME_BITS-1:0]        base_q;                      // in the next cycle
  logic [NEAR_BITS-1:0]        ahead_q;
  logic                        was_enabled_q, disarmed_q;   // disarmed since the job began
  logic                        begin_q, restart_q, era_q;
  logic [DIRECTIONS-1:0]       fresh_q, old_q;              // the output's state is of this time; it was not written lately
  logic [DIRECTIONS-1:0]       joinable_q;                  // and of this arming

  wire [TIME_BITS-1:0] now = mode.droplet ? TIME_BITS'(drop_number) : timestamp;

  always_ff @(posedge clk) begin
    tick_q       <= mode.droplet ? drop_tick : 1'b1;
    base_q       <= TIME_BITS'(mode.droplet ? 2'd0 : 2'd2) + now;
    ahead_q      <= (mode.droplet ? NEAR_BITS'(1) : NEAR_BITS'(GUARD) + NEAR_BITS'(2)) + NEAR_BITS'(now);
  end

  assign tick = tick_q;

  // ---------------------------------------------------------------- outputs and their queues
  state_e                      state_q;
  caller_e                     caller_q;
  logic [3:0]                  step_q;
  logic [2:0]                  d_q;
  logic [DIRECTIONS-1:0]       empty, due, approved, finished, fire, cancelled, stale, filled, full;
  outcome_e                    fate [DIRECTIONS];
  outcome_e                    cancel_cause, cause_q;
  logic                        load, approve, release_sort, joined_fired, push, pop;
  logic [DIRECTIONS-1:0][CellBits-1:0] head_q;        // cell of the sort loaded
  outcome_e                    last_fate_q [DIRECTIONS];
  logic [TIME_BITS-1:0]        begin_at_q, end_at_q;
  logic [CellBits-1:0]         cell_q;
  logic                        joined, joined_q;  // it comes with the sort before, in the same drops
  logic [CellBits:0]           front;

  wire [DIRECTIONS-1:0] selected = DIRECTIONS'(1'b1) << d_q;

  for (genvar i = 0; i < DIRECTIONS; i++) begin : gen_output
    sort_output output_ (
        .clk,
        .rst,
        .enabled,
        .droplet    (mode.droplet),
        .tick       (tick_q),
        .base       (base_q[NEAR_BITS-1:0]),
        .ahead      (ahead_q),
        .load       (load && selected[i]),
        .load_begin (begin_at_q[NEAR_BITS-1:0]),
        .load_end   (end_at_q[NEAR_BITS-1:0]),
        .approve    (approve && selected[i]),
        .cancel     (cancelled[i]),
        .cause      (cancel_cause),
        .release_   (release_sort && selected[i]),
        .empty      (empty[i]),
        .due        (due[i]),
        .approved   (approved[i]),
        .finished   (finished[i]),
        .fate       (fate[i]),
        .fired      (fire[i]),
        .sort_out   (sort_out[i])
    );
  end

  assign fired = fire | (joined_fired ? selected : '0);

  sort_queues #(
      .QUEUES (DIRECTIONS),
      .DEPTH  (SORTS),
      .WIDTH  (CellBits + 1)
  ) queues (
      .clk,
      .rst,
      .index     (d_q),
      .push,
      .push_data ({joined, cell_q}),
      .pop,
      .front,
      .flush     (!enabled),
      .stale,
      .filled,
      .full
  );

  // ---------------------------------------------------------------- cells
  (* ram_style = "block" *)
  logic [TIME_BITS-1:0]        positions [CELLS];
  (* ram_style = "block" *)
  logic [36:0]                 states [CELLS];     // {state, number of the decision}
  logic [CellBits-1:0]         next_q, oldest_q;   // cell to be inserted next; the first of these settings, as far as remembered
  logic [CellBits-1:0]         look_q;             // cell to look at: its position and state are there 3 cycles later
  logic [TIME_BITS-1:0]        read_position_q, position_q;
  logic [36:0]                 read_state_q, cell_word_q;
  logic                        write_position, write_state;
  logic [CellBits-1:0]         state_at;
  cell_state_t                 new_state, cell_state;
  logic [31:0]                 event_q;            // number of the next decision
  logic [31:0]                 new_event;

  assign cell_state = cell_word_q[36:32];

  always_ff @(posedge clk) begin
    if (write_position) positions[next_q] <= s_cell_position;
    read_position_q <= positions[look_q];
    position_q      <= read_position_q;
    if (write_state) states[state_at] <= {new_state, new_event};
    read_state_q <= states[look_q];
    cell_word_q  <= read_state_q;
  end

  // Cells of the events that are not decided.
  logic [CellBits-1:0]   event_cell;
  logic                  event_valid, event_room, event_doubtful;
  logic [EventBits-1:0]  events, lost_q;           // undecided; of them, those whose neighbourhood is not remembered
  wire                   insert_event = write_position && s_cell_event;

  fifo #(
      .WIDTH     (CellBits + 1),
      .DEPTH     (EVENTS),
      .RAM_STYLE ("distributed")
  ) undecided (
      .clk,
      .rst,
      .s_axis_tdata  ({s_cell_doubtful, next_q}),
      .s_axis_tvalid (insert_event),
      .s_axis_tready (event_room),
      .m_axis_tdata  ({event_doubtful, event_cell}),
      .m_axis_tvalid (event_valid),
      .m_axis_tready (decided),
      .count         (events)
  );

  // ---------------------------------------------------------------- state of the outputs
  logic [TIME_BITS-1:0]  memory [64];
  logic [5:0]            state_index_q;
  logic [TIME_BITS-1:0]  word_q;                   // 2 cycles behind state_index_q
  logic                  write_word, write_word_q;
  logic [5:0]            write_at, write_at_q;
  new_word_e             new_word, new_word_q;
  logic [TIME_BITS-1:0]  written;

  // Written in the cycle behind, of its difference; the next job reads later than that.
  always_ff @(posedge clk) begin
    write_word_q <= write_word && !rst;
    write_at_q   <= write_at;
    new_word_q   <= new_word;
    if (write_word_q) memory[write_at_q] <= written;
    word_q <= memory[state_index_q];
  end

  // ---------------------------------------------------------------- arithmetic
  logic [TIME_BITS-1:0]  low_q, high_q;            // positions of a neighbour that comes too near
  logic [TIME_BITS-1:0]  difference_q;             // the result of the cycle before
  logic [15:0]           dead_q, every_q, turn_q;
  logic [3:0]            phase_q;
  logic [3:0]            steps_q;
  logic                  back_q, doubtful_q, wished_q, counted_q, stale_head_q, of_output_q, late_q, off_phase_q, near_bad_q, just_q, same_end_q, overlap_q, dead_bad_q,
                         limited_q, my_turn_q, complete_q, new_doubtful_q, early_q, tail_q, owes_q;  // counted_q: the wish has come to its turn
  outcome_e              verdict_q;                // SORTED so far
  logic [CellBits-1:0]   aged_q;

  wire                   negative = difference_q[TIME_BITS-1];
  wire                   far      = negative == back_q;  // a neighbour: below low, or not below high + 1
  wire [3:0]             phase    = begin_at_q[3:0];  // before it is told in drops
  wire                   early    = mode.envelope == ENVELOPE_2 ? phase < 4'd8 : mode.envelope == ENVELOPE_1_5 && phase < 4'd4;
  wire                   tail     = mode.envelope == ENVELOPE_2 ? phase >= 4'd8 : mode.envelope == ENVELOPE_1_5 && phase >= 4'd12;
  // A neighbour within reach that is not welcome in the same tube, or of which that is not known.
  wire                   unwelcome = single || (cell_state.resolved ? cell_state.direction != d_q : caller_q == ByCommit);
  wire                   fresh    = fresh_q[d_q];
  // Both of the cycle before: a wish that is still a sort has been checked for longer, and nothing they depend on has changed since.
  logic                  joined_now, conflict_q;

  assign joined_now = mode.droplet && !single && joinable_q[d_q] && just_q && same_end_q;

  always_ff @(posedge clk) begin
    joined     <= joined_now;
    conflict_q <= full[d_q] || (fresh && !joined_now && (near_bad_q || (overlap_q && single) || (!overlap_q && dead_bad_q)));
  end

  // One adder for all of it: result = left + right, or left - right, or, `under`, left - right - 1. What is added is chosen in the cycle
  // before, by the step that comes next; difference_q always follows.
  typedef enum logic [2:0] {LeftBegin, LeftDrop, LeftEnd, LeftWord, LeftPosition, LeftDifference} left_e;
  typedef enum logic [2:0] {RightAmount, RightSetting, RightBefore, RightAfter, RightBase, RightWord, RightLow, RightHigh} right_e;

  left_e                 left_q;
  right_e                right_q;
  logic                  minus_q, under_q, drop_q;
  logic [15:0]           amount_q;
  logic [TIME_BITS-1:0]  left, right, result;

  always_ff @(posedge clk) begin
    left_q   <= LeftBegin;
    right_q  <= RightAmount;
    minus_q  <= 1'b0;
    under_q  <= 1'b0;
    drop_q   <= 1'b0;
    amount_q <= '0;
    unique case (state_q)
      Cancel: begin
        left_q   <= LeftWord;
        amount_q <= 16'd1;
        minus_q  <= 1'b1;
      end
      Insert: begin
        left_q  <= LeftWord;
        right_q <= RightLow;
        minus_q <= 1'b1;
      end
      Commit: left_q <= LeftWord;
      Plan: unique case (step_q[2:0])
        3'd2: begin
          left_q  <= LeftPosition;
          right_q <= RightSetting;
        end
        3'd3: begin
          left_q  <= LeftDrop;
          minus_q <= 1'b1;
          drop_q  <= 1'b1;
        end
        3'd4: amount_q <= mode.droplet ? 16'({early || tail, !(early || tail)}) : setting[15:0] == '0 ? 16'd1 : setting[15:0];
        // In droplet mode all of the drops, told in sixteenths, less the delay: begin and end of a drop around the cell's phase in it.
        3'd5: begin
          left_q   <= LeftPosition;
          right_q  <= mode.droplet ? RightAmount : RightBefore;
          amount_q <= 16'({early_q, phase_q}) + 16'(mode.margin);
          minus_q  <= 1'b1;
        end
        3'd6: begin
          left_q   <= LeftPosition;
          right_q  <= mode.droplet ? RightAmount : RightAfter;
          amount_q <= 16'({tail_q, ~phase_q}) + 16'(mode.margin);
        end
        default: begin  // first of Check, and of Head again
          right_q <= RightBase;
          minus_q <= 1'b1;
        end
      endcase
      Check: begin
        minus_q <= step_q < 4'd7;
        left_q  <= step_q < 4'd7 ? LeftBegin : step_q == 4'd7 ? LeftDifference : LeftWord;
        right_q <= step_q < 4'd7 ? RightWord : step_q == 4'd7 ? RightSetting : RightAmount;
        amount_q <= 16'd1;  // Verdict may follow
      end
      Walk: begin
        left_q   <= step_q == 4'd2 ? LeftPosition : LeftWord;
        right_q  <= step_q != 4'd2 ? RightAmount : back_q ? RightLow : RightHigh;
        minus_q  <= step_q == 4'd2;
        under_q  <= !back_q;
        amount_q <= 16'd1;  // Verdict may follow
      end
      Verdict: amount_q <= mode.droplet ? 16'd1 : 16'(LATE_MARGIN);
      Push: unique case (step_q[1:0])
        2'(NearUntil): left_q <= LeftEnd;  // the word behind it is next
        2'(LastEnd): begin
          left_q   <= LeftEnd;
          amount_q <= dead_q;
        end
        2'(DeadUntil): begin
          left_q  <= owes_q ? LeftWord : LeftBegin;
          right_q <= RightSetting;
        end
        default: ;
      endcase
      default: ;
    endcase
  end

  always_comb begin
    unique case (left_q)
      LeftDrop: left = {4'd0, begin_at_q[TIME_BITS-1:4]};
      LeftEnd: left = end_at_q;
      LeftWord: left = word_q;
      LeftPosition: left = position_q;
      LeftDifference: left = difference_q;
      default: left = begin_at_q;
    endcase
    unique case (right_q)
      RightSetting: right = TIME_BITS'(setting);
      RightBefore: right = TIME_BITS'(before_cycles);
      RightAfter: right = TIME_BITS'(after_cycles);
      RightBase: right = base_q;
      RightWord: right = word_q;
      RightLow: right = low_q;
      RightHigh: right = high_q;
      default: right = TIME_BITS'(amount_q);
    endcase
  end

  // The bit below is the carry in; `early` is of this cycle.
  wire carry = minus_q && !(drop_q ? early : under_q);

  assign result = TIME_BITS'(({left, 1'b1} + {right ^ {TIME_BITS{minus_q}}, carry}) >> 1);

  // ---------------------------------------------------------------- decision
  outcome_e first_verdict;
  wire [DIRECTIONS-1:0] test_wish = test_events ? DIRECTIONS'(1'b1) << test_direction : '0;
  wire [DIRECTIONS-1:0] wish      = mode.outputs & (testing ? test_wish : s_decision_hit);
  // Of several directions one that is used may be none of the gates' choice: in doubt, nothing is sorted.
  wire several = !testing && (s_decision_hit & (s_decision_hit - 1'b1)) != '0;

  always_comb begin
    if (s_decision_fault) first_verdict = FAULT;
    else if (s_decision_flags[FLAG_STALLED]) first_verdict = STALLED;
    else if (s_decision_flags[FLAG_DOUBTFUL]) first_verdict = HARDWARE;
    else if (s_decision_flags[FLAG_OVERLONG] && !mode.overlong) first_verdict = OVERLONG;
    else if (s_decision_flags[FLAG_DOUBLET] && !mode.doublets) first_verdict = AMBIGUOUS;
    else if (!enabled || (testing && !test_events)) first_verdict = DISARMED;
    else if (wish == '0 && !several) first_verdict = REJECTED;
    else if (several || lost_q != '0 || event_doubtful) first_verdict = AMBIGUOUS;
    else first_verdict = SORTED;
  end

  wire emit = state_q == Verdict;

  assign decided           = emit;
  assign s_decision_tready = decided;
  assign direction         = wished_q ? d_q : OUTPUT_NONE;
  always_comb begin
    outcome = verdict_q;
    if (verdict_q == SORTED) begin
      if (conflict_q) outcome = CONFLICT;
      else if (!joined && limited_q) outcome = LIMITED;
      if (disarmed_q || !enabled) outcome = DISARMED;
    end
  end

  // ---------------------------------------------------------------- what the engine does in this cycle
  wire [DIRECTIONS-1:0] loadable = empty & filled;
  wire amend       = state_q == Cancel && step_q == 4'd4;
  wire insert_test = state_q == Insert && step_q >= 4'd3;
  wire [2:0] checked = 3'(step_q - 4'd3);
  wire too_near = !yield && approved[checked] && (!negative || new_doubtful_q);
  wire aged = !empty[checked] && head_q[checked] == aged_q;
  wire  fate_is_sorted = fate[d_q] == SORTED;
  logic commit_cancel;

  assign s_cell_ready      = state_q == Insert && step_q == '0;
  assign write_position    = s_cell_ready;
  assign write_state       = write_position || emit || (amend && m_amend_ready);
  assign state_at          = write_position ? next_q : cell_q;
  assign new_event         = emit ? event_q : cell_word_q[31:0];
  assign m_amend_valid     = amend;
  assign m_amend_event     = cell_word_q[31:0];
  assign m_amend_outcome   = cause_q;
  assign m_amend_direction = d_q;
  assign push              = emit && outcome == SORTED;
  assign pop               = state_q == Head && step_q == 4'd2;
  assign joined_fired      = state_q == Head && step_q == 4'd3 && !stale_head_q && joined_q && last_fate_q[d_q] == SORTED;
  // At least GUARD + 8 cycles, or behind this drop, as it was a cycle before.
  logic in_time_q;

  always_ff @(posedge clk) in_time_q <= !negative && (mode.droplet ? difference_q != '0 : difference_q[TIME_BITS-1:8] != '0
                                                 || (difference_q[7] && difference_q[6:3] != '0));
  assign load              = state_q == Head && step_q == 4'd6 && in_time_q && !disarmed_q && enabled;
  assign approve           = state_q == Commit && step_q == 4'd5 && verdict_q == SORTED;
  assign commit_cancel     = state_q == Commit && step_q == 4'd5 && verdict_q != SORTED;
  assign release_sort      = (state_q == Finish && fate_is_sorted) || (amend && m_amend_ready && of_output_q);
  assign cancel_cause      = state_q == Commit ? verdict_q : (too_near && !new_doubtful_q && !aged) ? COINCIDENCE : AMBIGUOUS;

  always_comb begin
    cancelled = '0;
    if (commit_cancel) cancelled = selected;
    if (insert_test && (too_near || aged)) cancelled[checked] = 1'b1;
  end

  always_comb begin
    new_state = Unwanted;
    if (write_position) begin
      new_state.resolved = !s_cell_event;
      new_state.doubtful = s_cell_doubtful;
    end else if (emit) begin
      new_state.doubtful  = doubtful_q || outcome inside {HARDWARE, FAULT};
      new_state.direction = outcome == SORTED ? d_q : OUTPUT_NONE;
    end else begin
      new_state.doubtful = cell_state.doubtful;
    end
  end

  // Words of the output's state that are written, one a cycle.
  always_comb begin
    write_word = 1'b0;
    write_at   = {d_q, Counts};
    new_word   = NewDifference;
    unique case (state_q)
      Begin: begin
        write_word = 1'b1;
        new_word   = NewNothing;
      end
      Verdict: begin
        write_word = counted_q;
        new_word   = push ? NewTurnAndCount : NewTurn;
      end
      Push: begin
        write_word = 1'b1;
        write_at   = {d_q, step_q[2:0]};
      end
      Cancel: begin
        // What was counted in an arming before this one is not taken back from the count that began with this one.
        write_word = amend && m_amend_ready && cause_q != DISARMED && word_q[31:0] != '0;
        new_word   = NewCount;
      end
      Plan: begin
        write_word = caller_q == ByHead && (step_q == 4'd6 || step_q == 4'd7);
        write_at   = {d_q, step_q == 4'd6 ? Low : High};
      end
      default: ;
    endcase
  end

  always_comb begin
    unique case (new_word_q)
      NewNothing: written = '0;
      NewTurn: written = {turn_q, word_q[31:0]};
      NewTurnAndCount: written = {turn_q, difference_q[31:0]};
      NewCount: written = {word_q[TIME_BITS-1:32], difference_q[31:0]};
      default: written = difference_q;
    endcase
  end

  always_comb begin
    setting_index = {d_q, Delay};
    if (state_q == Plan && step_q != '0) setting_index = {d_q, Width};
    if (state_q == Check) begin
      unique case (step_q)
        4'd0: setting_index = {d_q, Every};
        4'd1, 4'd2: setting_index = {d_q, Target};
        default: setting_index = {d_q, Burst};
      endcase
    end
    if (state_q inside {Verdict, Push}) setting_index = {d_q, Cost};
  end

  always_ff @(posedge clk) begin
    step_q        <= step_q + 1'b1;
    difference_q  <= result;
    was_enabled_q <= enabled;
    if (enabled && !was_enabled_q) begin_q <= 1'b1;
    if (!enabled) disarmed_q <= 1'b1;
    if (restart) restart_q <= 1'b1;

    // What was not written for 2^46 cycles is nothing that a time can be compared with.
    era_q <= timestamp[TIME_BITS-2];
    if (era_q != timestamp[TIME_BITS-2]) begin
      fresh_q    <= fresh_q & ~old_q;
      joinable_q <= joinable_q & ~old_q;
      old_q      <= '1;
    end

    unique case (state_q)
      Idle: begin
        step_q     <= '0;
        disarmed_q <= !enabled;
        verdict_q  <= SORTED;
        wished_q   <= 1'b0;
        counted_q  <= 1'b0;
        steps_q    <= '0;
        back_q     <= 1'b0;
        joined_q   <= 1'b0;
        if (restart_q) begin
          restart_q <= 1'b0;
          oldest_q  <= next_q;
          lost_q     <= events;
          fresh_q    <= '0;
          joinable_q <= '0;
        end else if (begin_q) begin
          begin_q    <= 1'b0;
          joinable_q <= '0;
          d_q        <= '0;
          state_q    <= Begin;
        end else if (finished != '0) begin
          d_q     <= lowest(finished);
          state_q <= Finish;
        end else if (loadable != '0) begin
          d_q     <= lowest(loadable);
          state_q <= Head;
        end else if (s_cell_valid) begin
          state_q <= Insert;
        end else if (due != '0) begin
          d_q     <= lowest(due);
          state_q <= Commit;
        end else if (s_decision_tvalid && event_valid) begin
          state_q <= Decide;
        end
      end

      Begin: begin
        d_q <= d_q + 1'b1;
        if (d_q == 3'(DIRECTIONS - 1)) state_q <= Idle;
      end

      Finish: begin
        cell_q      <= head_q[d_q];
        cause_q     <= fate[d_q];
        of_output_q <= 1'b1;
        step_q      <= '0;
        state_q     <= fate_is_sorted ? Idle : Cancel;
        if (fate_is_sorted) last_fate_q[d_q] <= SORTED;
      end

      Cancel: begin
        if (step_q == '0) begin
          look_q        <= cell_q;
          state_index_q <= {d_q, Counts};
        end
        if (amend) begin
          step_q <= step_q;
          if (m_amend_ready) begin
            last_fate_q[d_q] <= cause_q;
            state_q          <= Idle;
          end
        end
      end

      Head: unique case (step_q)
        4'd0, 4'd1: ;
        4'd2: begin
          {joined_q, cell_q} <= front;
          stale_head_q       <= stale[d_q];
          of_output_q        <= 1'b0;
        end
        4'd3: begin
          cause_q <= stale_head_q ? DISARMED : last_fate_q[d_q];
          if (stale_head_q || (joined_q && last_fate_q[d_q] != SORTED)) begin
            step_q  <= '0;
            state_q <= Cancel;
          end else if (joined_q) begin
            state_q <= Idle;
          end else begin
            step_q   <= '0;
            caller_q <= ByHead;
            state_q  <= Plan;
          end
        end
        4'd4, 4'd5: ;
        4'd6: begin
          cause_q     <= disarmed_q || !enabled ? DISARMED : LATE;
          head_q[d_q] <= cell_q;
          if (!load) begin
            step_q  <= '0;
            state_q <= Cancel;
          end
        end
        default: state_q <= Idle;
      endcase

      Insert: begin
        if (step_q == '0) begin
          next_q         <= next_q + 1'b1;
          aged_q         <= next_q + Margin;
          new_doubtful_q <= s_cell_doubtful;
          low_q          <= s_cell_position;
          if (next_q + 1'b1 == oldest_q) oldest_q <= oldest_q + 1'b1;
          if (event_valid && event_cell == next_q + Margin) lost_q <= events;
        end
        state_index_q <= {step_q[2:0], High};
        if (insert_test && checked == 3'(DIRECTIONS - 1)) state_q <= Idle;
      end

      Commit: unique case (step_q)
        4'd0: begin
          cell_q        <= head_q[d_q];
          state_index_q <= {d_q, Low};
          caller_q      <= ByCommit;
          if (yield) step_q <= 4'd5;
        end
        4'd1: state_index_q <= {d_q, High};
        4'd2: low_q <= result;  // the word
        4'd3: begin
          high_q  <= result;
          look_q  <= cell_q;
          step_q  <= '0;
          state_q <= Walk;
        end
        default: state_q <= Idle;  // step 5, and by way of 4 never
      endcase

      Decide: begin
        d_q        <= lowest(wish);
        cell_q     <= event_cell;
        caller_q   <= ByDecide;
        verdict_q  <= first_verdict;
        doubtful_q <= event_doubtful;
        wished_q   <= first_verdict == SORTED;
        step_q     <= '0;
        state_q    <= first_verdict == SORTED ? Plan : Verdict;
      end

      // Position, begin and end of a sort, and how near its neighbours may come.
      Plan: unique case (step_q)
        4'd0: look_q <= cell_q;
        4'd1, 4'd2: ;
        4'd3: begin_at_q <= result;
        4'd4: begin
          dead_q      <= setting[31:16];
          phase_q     <= phase;
          early_q     <= early;
          tail_q      <= tail;
          off_phase_q <= mode.droplet && (phase < mode.first_phase || phase > mode.last_phase);
          if (mode.droplet) begin_at_q <= result;
        end
        4'd5: end_at_q <= result;
        4'd6: low_q <= result;
        default: begin
          high_q  <= result;
          step_q  <= caller_q == ByHead ? 4'd4 : '0;
          state_q <= caller_q == ByHead ? Head : Check;
        end
      endcase

      // Everything about a wish but its neighbours.
      Check: begin
        unique case (step_q)
          4'd0, 4'd1, 4'd2: state_index_q <= {d_q, step_q[2:0]};
          4'd4, 4'd5: state_index_q <= {d_q, PaidUntil};
          default: state_index_q <= {d_q, Counts};
        endcase
        unique case (step_q)
          4'd0: ;
          4'd1: late_q <= negative || (mode.droplet ? difference_q[TIME_BITS-1:1] == '0 : difference_q[TIME_BITS-1:8] == '0);
          4'd2: ;
          4'd3: begin                                  // from the begin to where it may be near again
            every_q    <= setting[15:0];
            near_bad_q <= negative;
            just_q     <= &difference_q;
            same_end_q <= end_at_q == word_q;
          end
          4'd4: overlap_q <= negative || (difference_q == '0 && !mode.droplet);  // to the last end; drops beside each other are two
          4'd5: begin                                  // to the end of the dead time
            dead_bad_q <= negative;
            my_turn_q  <= {1'b0, word_q[TIME_BITS-1:32]} + 17'd1 >= {1'b0, every_q};
            complete_q <= setting != '0 && word_q[31:0] >= setting;
          end
          4'd6, 4'd7: ;
          4'd8: owes_q <= fresh && negative;           // the begin less what is paid until then
          default: begin
            limited_q <= fresh && negative;            // the same and the burst
            turn_q    <= my_turn_q ? '0 : word_q[TIME_BITS-1:32] + 1'b1;
            counted_q <= 1'b1;
            step_q    <= '0;
            state_q   <= Verdict;
            if (!my_turn_q) verdict_q <= SKIPPED;
            else if (complete_q) verdict_q <= COMPLETE;
            else if (late_q) verdict_q <= LATE;
            else if (off_phase_q) verdict_q <= AMBIGUOUS;
            else if (!yield) begin
              look_q  <= cell_q;
              state_q <= Walk;
            end
          end
        endcase
      end

      // Neighbours, those that came later first, until one is far enough away.
      Walk: begin
        unique case (step_q)
          4'd0: begin
            look_q <= back_q ? look_q - 1'b1 : look_q + 1'b1;
            if (back_q ? look_q == oldest_q : look_q + 1'b1 == next_q) begin
              step_q  <= '0;
              steps_q <= '0;
              look_q  <= cell_q;
              back_q  <= 1'b1;
              if (back_q) begin
                step_q  <= caller_q == ByCommit ? 4'd5 : '0;
                state_q <= caller_q == ByCommit ? Commit : Verdict;
              end
            end
          end
          4'd1, 4'd2: ;
          4'd3: ;
          default: begin
            step_q  <= '0;
            steps_q <= steps_q + 1'b1;
            if (cell_state.doubtful) verdict_q <= AMBIGUOUS;
            else if (!far && unwelcome) verdict_q <= COINCIDENCE;
            else if (!far && steps_q == MostSteps - 4'd1) verdict_q <= AMBIGUOUS;
            if (cell_state.doubtful || (far ? back_q : unwelcome || steps_q == MostSteps - 4'd1)) begin
              step_q  <= caller_q == ByCommit ? 4'd5 : '0;
              state_q <= caller_q == ByCommit ? Commit : Verdict;
            end else if (far) begin
              steps_q <= '0;
              look_q  <= cell_q;
              back_q  <= 1'b1;
            end
          end
        endcase
      end

      Verdict: begin
        event_q <= event_q + 1'b1;
        if (lost_q != '0) lost_q <= lost_q - 1'b1;
        state_index_q <= {d_q, PaidUntil};
        step_q  <= '0;
        state_q <= Idle;
        if (push && !joined) begin
          fresh_q[d_q]    <= 1'b1;
          joinable_q[d_q] <= 1'b1;
          old_q[d_q]      <= 1'b0;
          state_q         <= Push;
        end
      end

      Push: if (step_q[1:0] == 2'd3) state_q <= Idle;

      default: state_q <= Idle;
    endcase

    if (rst) begin
      state_q       <= Idle;
      was_enabled_q <= 1'b0;
      begin_q       <= 1'b0;
      restart_q     <= 1'b0;
      next_q        <= '0;
      oldest_q      <= '0;
      lost_q        <= '0;
      event_q       <= '0;
      fresh_q       <= '0;
      joinable_q    <= '0;
      old_q         <= '0;
    end
  end

  // Never more than EVENTS events are undecided.
  assert property (@(posedge clk) disable iff (rst) !insert_event || event_room);

  assign pending = filled != '0 || empty != '1 || sort_out != '0 || state_q != Idle;

endmodule

`default_nettype wire
