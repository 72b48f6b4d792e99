// SPDX-License-Identifier: Apache-2.0
//
// event_record: the record of each decided event, as it goes to the host.
//
//   Little-endian: u32 event id | u64 event time | u8 outcome | u8 class | u16 posterior | u32 cycles first pixel to decision |
//   i32 cycles last pixel to decision | i32 logits[N_CLASSES]. The id counts decisions since reset, which are in the order
//   of the events. Cycle counts saturate.
//   Handshake   `decided` is a pulse with all fields but the posterior; posterior_valid follows once for each, before the
//               next `decided`. m_word: the record in words of 32 bits, one a cycle, without ready: record_fifo takes or drops it whole.
//   Latency     record_valid (a pulse with the whole record) and the first word come 1 cycle after posterior_valid.
//   Interval    WORDS = 6 + N_CLASSES cycles between two posterior_valid; the gate needs more for an event; asserted.
//   Reset       the next id is 0; a record under way is lost.
`default_nettype none

module event_record #(
    parameter int unsigned N_CLASSES  = 7,
    parameter int unsigned LOGIT_BITS = 20,
    localparam int unsigned Words = 6 + N_CLASSES
) (
    input  wire logic                             clk,
    input  wire logic                             rst,

    input  wire logic [47:0]                      timestamp,
    input  wire logic                             decided,
    input  wire logic [2:0]                       outcome,
    input  wire logic [47:0]                      event_time,
    input  wire logic [47:0]                      last_time,
    input  wire logic [7:0]                       best_class,
    input  wire logic [N_CLASSES*LOGIT_BITS-1:0]  logits,
    input  wire logic                             posterior_valid,
    input  wire logic [15:0]                      posterior,

    output logic                                  record_valid,
    output logic [Words*32-1:0]                   record,

    output logic [31:0]                           m_word_tdata,
    output logic                                  m_word_tvalid,
    output logic                                  m_word_tlast,
    output logic                                  busy
);
  localparam int unsigned CountBits = $clog2(Words + 1);

  logic [31:0]                      id_q;
  logic                             open_q;     // decided, its posterior still to come
  logic [47:0]                      time_q;
  logic [2:0]                       outcome_q;
  logic [7:0]                       class_q;
  logic [31:0]                      from_first_q, from_last_q;
  logic [N_CLASSES*LOGIT_BITS-1:0]  logits_q;
  logic [Words*32-1:0]              shift_q;
  logic [CountBits-1:0]             left_q;

  wire [47:0] from_first = timestamp - event_time;
  wire [47:0] from_last  = timestamp - last_time;

  logic [N_CLASSES*32-1:0] logits_wide;
  always_comb begin
    for (int unsigned c = 0; c < N_CLASSES; c++) begin
      logits_wide[c*32+:32] = 32'($signed(logits_q[c*LOGIT_BITS+:LOGIT_BITS]));
    end
  end

  assign record        = shift_q;
  assign m_word_tdata  = shift_q[31:0];
  assign m_word_tvalid = left_q != '0;
  assign m_word_tlast  = left_q == CountBits'(1);
  assign busy          = open_q || m_word_tvalid;

  always_ff @(posedge clk) begin
    record_valid <= posterior_valid;
    if (decided) begin
      open_q       <= 1'b1;
      time_q       <= event_time;
      outcome_q    <= outcome;
      class_q      <= best_class;
      from_first_q <= |from_first[47:32] ? 32'hFFFF_FFFF : from_first[31:0];
      from_last_q  <= |from_last[47:31] ? 32'h7FFF_FFFF : from_last[31:0];
      logits_q     <= logits;
    end
    if (posterior_valid) begin
      open_q  <= 1'b0;
      id_q    <= id_q + 1'b1;
      shift_q <= {
        logits_wide, from_last_q, from_first_q, posterior, class_q, 5'd0, outcome_q, 16'd0, time_q, id_q
      };
      left_q  <= CountBits'(Words);
    end else if (m_word_tvalid) begin
      shift_q <= shift_q >> 32;
      left_q  <= left_q - 1'b1;
    end
    if (rst) begin
      id_q         <= '0;
      open_q       <= 1'b0;
      left_q       <= '0;
      record_valid <= 1'b0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !posterior_valid || (open_q && !m_word_tvalid));
  assert property (@(posedge clk) disable iff (rst) !decided || !open_q || posterior_valid);

endmodule

`default_nettype wire
