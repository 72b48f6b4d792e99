// SPDX-License-Identifier: Apache-2.0
//
// event_record: the record of each decided event, as it goes to the host: the groups of icsort/formats/event_record.py, fields as the
// structures of icsort_pkg lay them out.
//
//   Handshake   `decided` is a pulse with all fields. `groups` is taken with it: which groups the record has; without BASE
//               there is none.
//               m_word: the record in words of 32 bits, one a cycle, the last with tlast, no ready: record_fifo takes or drops it whole.
//   Features    feature_data is feature `feature_index` of the event, 2 cycles behind the index, from 5 cycles behind `decided` until the last word.
//   Latency     the first word comes 1 cycle after `decided`. Cycle counts saturate.
//   Interval    13 + FEATURES + N_CLASSES cycles at most from decided to decided.
//   Overflow    an event that is decided while the record of the one before is not out gets none; `lost` pulses.
//   Reset       the next id is 0; a record under way is lost. The id counts decisions since, with a record or without.
`default_nettype none

module event_record
  import icsort_pkg::*;
#(
    parameter int unsigned N_CLASSES  = 7,
    parameter int unsigned LOGIT_BITS = 20,
    parameter int unsigned FEATURES   = 0,
    localparam int unsigned Values    = N_CLASSES > FEATURES ? N_CLASSES : FEATURES,
    localparam int unsigned CountBits = $clog2(Values + 1) < 4 ? 4 : $clog2(Values + 1)
) (
    input  wire logic                             clk,
    input  wire logic                             rst,

    input  wire logic [RECORD_GROUPS-1:0]         groups,
    input  wire logic [TIME_BITS-1:0]             timestamp,
    input  wire logic [31:0]                      gate_serial,
    input  wire logic                             decided,
    input  wire logic [TAG_BITS-1:0]              tag,
    input  wire outcome_e                         outcome,
    input  wire logic [7:0]                       direction,
    input  wire logic [EVENT_FLAGS-1:0]           flags,
    input  wire logic [7:0]                       length,
    input  wire logic [31:0]                      gates,
    input  wire logic [TIME_BITS-1:0]             event_time,
    input  wire logic [TIME_BITS-1:0]             last_time,
    input  wire logic [7:0]                       best_class,
    input  wire logic [N_CLASSES*LOGIT_BITS-1:0]  logits,
    input  wire logic [15:0]                      posterior,

    output logic [CountBits-1:0]                  feature_index,
    input  wire logic [31:0]                      feature_data,

    output logic [31:0]                           m_word_tdata,
    output logic                                  m_word_tvalid,
    output logic                                  m_word_tlast,
    output logic                                  busy,
    output logic                                  lost
);
  localparam int unsigned BaseWords = $bits(record_base_t) / 32, TimingWords = $bits(record_timing_t) / 32;

  typedef enum logic [1:0] {Idle, Head, Features, Logits} state_e;

  state_e                           state_q;
  logic [31:0]                      id_q;
  logic [RECORD_GROUPS-1:0]         groups_q;
  record_timing_t                   timing_q;
  record_base_t                     base_q;
  logic [N_CLASSES*LOGIT_BITS-1:0]  logits_q;
  logic [CountBits-1:0]             left_q;   // words behind this one in its group
  logic                             count_q;  // this word is the count of its group

  wire [TIME_BITS-1:0] from_first = timestamp - event_time;
  wire [TIME_BITS-1:0] from_last  = timestamp - last_time;

  wire has_features = groups_q[RECORD_FEATURES] && FEATURES != 0;
  wire has_logits   = groups_q[RECORD_LOGITS];
  wire group_ends   = left_q == '0;

  assign busy          = state_q != Idle;
  assign m_word_tvalid = state_q inside {Head, Features, Logits};
  assign m_word_tlast  = group_ends && (state_q == Logits || (!has_logits && (state_q == Features || !has_features)));

  always_comb begin
    unique case (state_q)
      Features: m_word_tdata = count_q ? 32'(FEATURES) : feature_data;
      Logits:   m_word_tdata = count_q ? 32'(N_CLASSES) : 32'($signed(logits_q[LOGIT_BITS-1:0]));
      default:  m_word_tdata = base_q[31:0];
    endcase
  end

  always_ff @(posedge clk) begin
    lost <= decided && busy && groups[RECORD_BASE];
    if (decided) id_q <= id_q + 1'b1;
    if (m_word_tvalid) begin
      left_q  <= left_q - 1'b1;
      count_q <= 1'b0;
    end
    feature_index <= state_q == Features || (state_q == Head && group_ends) ? feature_index + 1'b1 : '0;
    unique case (state_q)
      Idle: if (decided && groups[RECORD_BASE]) begin
        state_q  <= Head;
        left_q   <= CountBits'(groups[RECORD_TIMING] ? BaseWords + TimingWords - 1 : BaseWords - 1);
        groups_q <= groups;
        base_q   <= '{
            event_id: id_q, event_time: event_time, tag: tag,
            groups: 8'({groups[RECORD_LOGITS], groups[RECORD_FEATURES] && FEATURES != 0, groups[RECORD_TIMING], 1'b1}),
            outcome: 8'(outcome), direction: direction, flags: 16'(flags), length: length,
            class_index: best_class, posterior: posterior, gates: gates
        };
        timing_q <= '{
            first_pixel_to_decision: |from_first[TIME_BITS-1:32] ? 32'hFFFF_FFFF : from_first[31:0],
            last_pixel_to_decision: |from_last[TIME_BITS-1:31] ? 32'h7FFF_FFFF : from_last[31:0],
            gate_serial: gate_serial
        };
        logits_q <= logits;
      end
      default: begin
        if (state_q == Head) {timing_q, base_q} <= {timing_q, base_q} >> 32;
        if (state_q == Logits && !count_q) logits_q <= logits_q >> LOGIT_BITS;
        if (group_ends) begin
          count_q <= 1'b1;
          if (m_word_tlast) begin
            state_q <= Idle;
          end else if (state_q == Head && has_features) begin
            state_q <= Features;
            left_q  <= CountBits'(FEATURES);
          end else begin
            state_q <= Logits;
            left_q  <= CountBits'(N_CLASSES);
          end
        end
      end
    endcase
    if (rst) begin
      state_q <= Idle;
      id_q    <= '0;
      lost    <= 1'b0;
    end
  end

endmodule

`default_nettype wire
