// SPDX-License-Identifier: Apache-2.0
//
// sort_scheduler with its outputs and queues, whatever comes: each event that was decided as SORTED ends once, by a pulse or by an
// amendment; nothing fires while disarmed; the queues never run over or dry.
`default_nettype none

module sort_scheduler_properties
  import icsort_pkg::*;
#(
    parameter bit ACCOUNTS = 1'b1  // also what becomes of each sort
) (
    input wire logic                  clk,
    input wire logic                  rst,
    input wire logic [TIME_BITS-1:0]  timestamp,
    input wire logic                  drop_tick,
    input wire logic [TIME_BITS-5:0]  drop_number,
    input wire logic                  armed,
    input wire logic                  testing,
    input wire logic                  test_events,
    input wire logic [2:0]            test_direction,
    input wire logic                  restart,
    input wire logic [31:0]           mode_word,
    input wire logic [31:0]           before_cycles,
    input wire logic [31:0]           after_cycles,
    input wire logic [31:0]           setting,
    input wire logic                  s_cell_valid,
    input wire logic                  s_cell_event,
    input wire logic                  s_cell_doubtful,
    input wire logic [TIME_BITS-1:0]  s_cell_position,
    input wire logic                  s_decision_tvalid,
    input wire logic [5:0]            s_decision_hit,
    input wire logic [EVENT_FLAGS-1:0] s_decision_flags,
    input wire logic                  s_decision_fault,
    input wire logic                  m_amend_ready
);
  localparam logic [3:0] Finish = 4'd2, Cancel = 4'd3, Head = 4'd4, Plan = 4'd8;  // of the engine's states
  localparam logic [1:0] ByHead = 2'd1;

  schedule_mode_t       mode;
  logic [5:0]           setting_index;
  logic                 s_cell_ready, s_decision_tready, decided, m_amend_valid, pending, tick;
  outcome_e             outcome, m_amend_outcome;
  logic [2:0]           direction, m_amend_direction;
  logic [31:0]          m_amend_event;
  logic [5:0]           fired, sort_out;

  assign mode = schedule_mode_t'(mode_word);

  sort_scheduler #(.CELLS(32), .SORTS(2), .EVENTS(2)) dut (.*);

  logic       begun_q = 1'b0;
  logic       was_enabled_q;
  logic [5:0] was_high_q;
  logic [TIME_BITS+2:0]   cell_q;      // offered, and not taken
  logic [EVENT_FLAGS+7:0] decision_q;
  logic [7:0] undecided_q;     // events that were taken
  logic [7:0] outstanding_q;   // decided as SORTED, and not ended yet
  logic [7:0] held;

  // Where they are: in a queue, in an output that has not come true, or in the engine's hands.
  always_comb begin
    held = '0;
    for (int i = 0; i < 6; i++) begin
      held = held + 8'(dut.queues.count_q[i]);
      if (!dut.empty[i] && !(dut.finished[i] && dut.fate[i] == SORTED)) held = held + 1'b1;
    end
    if (dut.state_q == Head && dut.step_q > 4'd2) held = held + 8'(dut.step_q <= 4'd5);
    if (dut.state_q == Plan && dut.caller_q == ByHead) held = held + 1'b1;
    if (dut.state_q == Cancel && !dut.of_output_q) held = held + 1'b1;
  end

  always_ff @(posedge clk) begin
    begun_q       <= 1'b1;
    if (!begun_q) assume (rst);
    assume (!(armed && testing));
    // What is offered stays until it is taken.
    cell_q     <= {s_cell_valid && !s_cell_ready && !rst, s_cell_event, s_cell_doubtful, s_cell_position};
    decision_q <= {s_decision_tvalid && !s_decision_tready && !rst, s_decision_hit, s_decision_flags, s_decision_fault};
    assume (!cell_q[$high(cell_q)] || {s_cell_valid, s_cell_event, s_cell_doubtful, s_cell_position} == cell_q);
    assume (!decision_q[$high(decision_q)]
            || {s_decision_tvalid, s_decision_hit, s_decision_flags, s_decision_fault} == decision_q);
    assume (!(s_cell_valid && s_cell_event && s_cell_ready) || undecided_q < 8'd2);
    undecided_q   <= undecided_q + 8'(s_cell_valid && s_cell_event && s_cell_ready) - 8'(decided);
    was_enabled_q <= armed || testing;
    was_high_q    <= sort_out;
    outstanding_q <= outstanding_q + 8'(decided && outcome == SORTED) - 8'($countones(fired)) - 8'(m_amend_valid && m_amend_ready);
    if (rst) begin
      cell_q        <= '0;
      decision_q    <= '0;
      undecided_q   <= '0;
      outstanding_q <= '0;
      was_high_q    <= '0;
    end
  end

  always_comb begin
    if (begun_q && !rst) begin
      if (decided && outcome == SORTED) assert (armed || testing);
      if (dut.load) assert (armed || testing);
      for (int i = 0; i < 6; i++) begin
        if (sort_out[i] && !was_high_q[i]) assert (was_enabled_q);
        if (dut.fire[i]) assert (armed || testing);
      end
    end
    if (begun_q && !rst && ACCOUNTS) begin
      assert (outstanding_q == held);
      // What the engine has in its hands.
      assert (dut.state_q <= 4'd12);
      if (dut.state_q inside {Finish, Cancel, Head, 4'd6, Plan}) assert (dut.d_q < 3'd6);
      if (dut.state_q == Finish || (dut.state_q == Cancel && dut.of_output_q)) assert (dut.finished[dut.d_q]);
      if (dut.state_q == Cancel && dut.of_output_q) assert (dut.fate[dut.d_q] != SORTED);
      if (dut.state_q == Head || (dut.state_q == Plan && dut.caller_q == ByHead) || (dut.state_q == Cancel && !dut.of_output_q)) begin
        assert (dut.empty[dut.d_q]);
      end
      if (dut.state_q == Head) assert (dut.step_q <= 4'd6 && (dut.step_q > 4'd2 || dut.filled[dut.d_q]));
      if (dut.state_q == Cancel) assert (dut.step_q <= 4'd4);
      for (int i = 0; i < 6; i++) begin
        assert (dut.queues.count_q[i] <= 2 && dut.queues.stale_q[i] <= dut.queues.count_q[i]);
      end
    end
  end

endmodule

`default_nettype wire
