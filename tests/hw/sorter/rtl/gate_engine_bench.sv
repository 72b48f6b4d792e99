// SPDX-License-Identifier: Apache-2.0
//
// gate_engine_bench: drives gate_engine from text files, so that 100,000 events take seconds. While `go` is high it reads, in the
// current folder, host.txt, logits.txt, events.txt and features.txt, and writes log.txt; `done` when all of it has been.
//
//   host.txt      a line "op a b" (hexadecimal): 0 write word b at index a; 1 read index a, of the set in force where b is 1; 2 commit and
//                 wait for it; 3 wait a cycles; 4 wait until a results have left; 5 let a events come in all; 6 the posteriors' constants are a, b, not
//                 known where a is 0, as before
//   logits.txt, events.txt   a line "tag data"; features.txt: "tag last data"
//   log.txt       "L cycle tag multiplier shift" logits taken, "V cycle" the last of an event's values was taken, "C cycle" a set is in force,
//                 "R word", "E cycle tag mismatch direction wanted ambiguous tests gates class posterior logits", cycle that of result_valid's first
//   stall         of 256: how often each source idles and the result waits
`default_nettype none

module gate_engine_bench #(
    parameter int unsigned N_CLASSES  = 7,
    parameter int unsigned LOGIT_BITS = 20,
    parameter int unsigned FEATURES   = 0,
    parameter int unsigned TESTS      = 32,
    parameter int unsigned GATES      = 16,
    parameter int unsigned SCALES     = 16,
    parameter int unsigned CORNERS    = 16,
    parameter int unsigned EVENTS     = 1
) (
    input  wire logic        clk,
    input  wire logic        rst,
    input  wire logic        go,
    input  wire logic [7:0]  stall,
    input  wire logic [31:0] events,     // results until done
    output logic             done
);
  logic [12:0] index;
  logic        index_active, index_written, data_written, read_valid, reading, commit, committing, committed;
  logic [31:0] data, read_data;
  logic [N_CLASSES*LOGIT_BITS-1:0] logits_tdata, result_logits;
  logic [7:0]  logits_tuser, feature_tuser, event_tuser, result_tag, result_class;
  logic        logits_tvalid, logits_tready, feature_tvalid, feature_tready, feature_tlast, feature_none, event_tvalid, event_tready;
  logic [31:0] feature_tdata;
  logic [63:0] event_tdata;
  logic [17:0] multiplier;
  logic [5:0]  shift;
  logic        result_valid, result_ready, result_mismatch, result_wanted, result_ambiguous, result_featureless;
  logic [5:0]  result_direction;
  logic [TESTS-1:0] result_tests;
  logic [GATES-1:0] result_gates;
  logic [15:0] result_posterior;

  gate_engine #(
      .N_CLASSES  (N_CLASSES),
      .LOGIT_BITS (LOGIT_BITS),
      .FEATURES   (FEATURES),
      .TESTS      (TESTS),
      .GATES      (GATES),
      .SCALES     (SCALES),
      .CORNERS    (CORNERS)
  ) dut (
      .clk, .rst,
      .index, .index_active, .index_written, .data, .data_written, .read_data, .read_valid, .reading,
      .commit, .committing, .committed, .multiplier, .shift, .calibrated (multiplier != '0),
      .s_axis_logits_tdata (logits_tdata), .s_axis_logits_tuser (logits_tuser),
      .s_axis_logits_tvalid (logits_tvalid), .s_axis_logits_tready (logits_tready),
      .s_axis_feature_tdata (feature_tdata), .s_axis_feature_tuser (feature_tuser), .s_axis_feature_tlast (feature_tlast),
      .s_axis_feature_none (feature_none),
      .s_axis_feature_tvalid (feature_tvalid), .s_axis_feature_tready (feature_tready),
      .s_axis_event_tdata (event_tdata), .s_axis_event_tuser (event_tuser),
      .s_axis_event_tvalid (event_tvalid), .s_axis_event_tready (event_tready),
      .result_valid, .result_ready, .result_tag, .result_mismatch, .result_direction, .result_wanted, .result_ambiguous,
      .result_featureless, .result_tests, .result_gates, .result_class, .result_posterior, .result_logits
  );

  int host_file, logits_file, events_file, features_file, log_file;
  int unsigned cycle_q, results_q, wait_q, allowed_q, begun_q;
  logic [31:0] random_q;
  logic        open_q, busy_q, host_end_q, half_q, shown_q;
  logic [3:0]  op;
  logic [31:0] a, b;
  // Files are read before the edge's assignments take effect.
  /* verilator lint_off BLKSEQ */
  always_ff @(posedge clk) begin
    cycle_q       <= cycle_q + 1;
    random_q      <= {random_q[30:0], random_q[31] ^ random_q[21] ^ random_q[1] ^ random_q[0]};
    index_written <= 1'b0;
    data_written  <= 1'b0;
    commit        <= 1'b0;
    if (go && !open_q) begin
      host_file     = $fopen("host.txt", "r");
      logits_file   = $fopen("logits.txt", "r");
      events_file   = $fopen("events.txt", "r");
      features_file = $fopen("features.txt", "r");
      log_file      = $fopen("log.txt", "w");
      open_q        <= 1'b1;
    end
    if (open_q) begin
      // The host.
      if (half_q) begin
        half_q       <= 1'b0;
        data         <= b;
        data_written <= op == 4'd0;
      end else if (busy_q) begin
        unique case (op)
          4'd0: if (!reading && !index_written && !data_written) busy_q <= 1'b0;
          4'd1: if (read_valid) begin
            $fdisplay(log_file, "R %x", read_data);
            busy_q <= 1'b0;
          end
          4'd2: if (committed) busy_q <= 1'b0;
          4'd3: begin
            wait_q <= wait_q + 1;
            if (wait_q >= a) busy_q <= 1'b0;
          end
          4'd4: if (results_q >= a) busy_q <= 1'b0;
          4'd6: begin
            multiplier <= a[17:0];
            shift      <= b[5:0];
            busy_q     <= 1'b0;
          end
          default: begin
            allowed_q <= a;
            busy_q    <= 1'b0;
          end
        endcase
      end else if (!host_end_q) begin
        if ($fscanf(host_file, "%h %h %h", op, a, b) == 3) begin
          busy_q        <= 1'b1;
          wait_q        <= 0;
          half_q        <= op == 4'd0;
          index_written <= op < 4'd2;
          index         <= a[12:0];
          index_active  <= op == 4'd1 && b[0];
          commit        <= op == 4'd2;
        end else host_end_q <= 1'b1;
      end
      // The event's parts, each when it likes.
      if (!logits_tvalid || logits_tready) begin
        logits_tvalid <= random_q[7:0] >= stall && begun_q + 32'(logits_tvalid) < allowed_q && $fscanf(logits_file, "%h %h", logits_tuser, logits_tdata) == 2;
      end
      if (!event_tvalid || event_tready) begin
        event_tvalid <= random_q[15:8] >= stall && $fscanf(events_file, "%h %h", event_tuser, event_tdata) == 2;
      end
      if (!feature_tvalid || feature_tready) begin
        feature_tvalid <= random_q[23:16] >= stall
                          && $fscanf(features_file, "%h %h %h %h", feature_tuser, feature_none, feature_tlast, feature_tdata) == 4;
      end
      result_ready <= random_q[31:24] >= stall;
      // What happens.
      if (committed) $fdisplay(log_file, "C %0d", cycle_q);
      if (logits_tvalid && logits_tready) $fdisplay(log_file, "L %0d %x %0d %0d", cycle_q, logits_tuser, multiplier, shift);
      if (logits_tvalid && logits_tready) begun_q <= begun_q + 1;
      if (dut.begin_now) $fdisplay(log_file, "V %0d", cycle_q);
      shown_q <= result_valid && !result_ready;
      if (result_valid && !shown_q) begin
        $fdisplay(log_file, "E %0d %x %b %x %b %b %b %x %x %x %x %x", cycle_q, result_tag, result_mismatch, result_direction,
                  result_wanted, result_ambiguous, result_featureless, result_tests, result_gates, result_class, result_posterior, result_logits);
      end
      if (result_valid && result_ready) results_q <= results_q + 1;
      if (results_q == events && host_end_q && !busy_q && !done) begin
        $fclose(log_file);
        done <= 1'b1;
      end
      if (!go && done) begin
        $fclose(host_file);
        $fclose(logits_file);
        $fclose(events_file);
        $fclose(features_file);
        open_q <= 1'b0;
      end
    end
    if (rst || !go) begin
      if (open_q && rst && go && !done) $fclose(log_file);
      logits_tvalid  <= 1'b0;
      event_tvalid   <= 1'b0;
      feature_tvalid <= 1'b0;
      result_ready   <= 1'b0;
      busy_q         <= 1'b0;
      half_q         <= 1'b0;
      host_end_q     <= 1'b0;
      results_q      <= 0;
      begun_q        <= 0;
      allowed_q      <= 0;
      shown_q        <= 1'b0;
      done           <= 1'b0;
      index_active   <= 1'b0;
      if (rst) begin
        open_q     <= 1'b0;
        multiplier <= '0;
        cycle_q    <= 0;
        random_q   <= 32'(EVENTS) ^ 32'h5eed_1234;
      end
    end
  end
  /* verilator lint_on BLKSEQ */

endmodule

`default_nettype wire
