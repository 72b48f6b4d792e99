// SPDX-License-Identifier: Apache-2.0
//
// gate_engine: values of an event -> scales -> tests -> gates -> a direction, by a gate set that the host writes. Bit-true
// model: sim/bit_true/gate_engine.py, which also has the index of each value and the words of the memories.
//
//   An event     its logits (s_axis_logits), its features (s_axis_feature, one word a beat in their order, tlast with the last;
//                nothing where FEATURES is 0) and its end (s_axis_event: length in lines, cycles since the event before), in any order,
//                each with the event's tag. Tags that differ: `mismatch` with the result. An event without features is one beat
//                with `s_axis_feature_none`.
//   Calibration  the posteriors' constants, and whether they are known, as they are with an event's logits.
//   Unknown      is a test of a feature that the event, or the build, does not have, each test of an event whose calibration is not
//                known, and a gate that names what is unknown, negated or not. Neither is true; a gate's direction counts as asked for
//                and in doubt: ambiguous, unless a higher priority's holds.
//   Result       result_valid with stable values until result_ready: direction wished for (one hot, or none), ambiguous (two gates of
//                the highest priority are true, or one is unknown, so none is wished for), wanted (a direction is wished for), the tests and gates
//                that are true, best class, posterior of class set 0, logits, tag, featureless. Behind the counts in force tests and gates are 0.
//   Latency      tests + gates + 16 cycles from the last of the values to result_valid, for the counts in force: 64 for 32 and 16.
//                Values of the logits are there 2 N + 22 + class sets cycles after them (posterior.sv), at least 2 N + 23.
//   Interval     one event at a time, next logits in the cycle behind result_ready; s_axis_*_tready is low meanwhile.
//   Gate set     the host writes words into the bank that is not in force (`shadow`): index (and whether to read the one in force) with index_written,
//                data with data_written, either for one cycle. The word at index is in read_data, with a cycle of read_valid, 4 cycles
//                later or, where a scale's word must wait for tests, up to 48 cycles later; `reading` is high meanwhile. A corner is
//                in force with its third word. `commit` puts the shadow bank in force between two events: an event sees one set. Until it
//                has (`committing`), data is not written. committed: one cycle, from which on the set is in force.
//   Reset        in flight: forgotten. No set is in force until one is committed: no direction is wished for.
`default_nettype none

module gate_engine #(
    parameter int unsigned N_CLASSES  = 7,
    parameter int unsigned LOGIT_BITS = 20,
    parameter int unsigned FEATURES   = 0,
    parameter int unsigned TAG_BITS   = 8,
    parameter int unsigned TESTS      = 32,
    parameter int unsigned GATES      = 16,
    parameter int unsigned SCALES     = 16,
    parameter int unsigned CORNERS    = 16,
    localparam int unsigned DIRECTIONS = 6
) (
    input  wire logic                             clk,
    input  wire logic                             rst,

    input  wire logic [12:0]                      index,
    input  wire logic                             index_active,
    input  wire logic                             index_written,
    input  wire logic [31:0]                      data,
    input  wire logic                             data_written,
    output logic [31:0]                           read_data,
    output logic                                  read_valid,
    output logic                                  reading,
    input  wire logic                             commit,
    output logic                                  committing,
    output logic                                  committed,

    input  wire logic [17:0]                      multiplier,
    input  wire logic [5:0]                       shift,
    input  wire logic                             calibrated,

    input  wire logic [N_CLASSES*LOGIT_BITS-1:0]  s_axis_logits_tdata,
    input  wire logic [TAG_BITS-1:0]              s_axis_logits_tuser,
    input  wire logic                             s_axis_logits_tvalid,
    output logic                                  s_axis_logits_tready,

    input  wire logic [31:0]                      s_axis_feature_tdata,
    input  wire logic [TAG_BITS-1:0]              s_axis_feature_tuser,
    input  wire logic                             s_axis_feature_tvalid,
    input  wire logic                             s_axis_feature_tlast,
    input  wire logic                             s_axis_feature_none,
    output logic                                  s_axis_feature_tready,

    input  wire logic [63:0]                      s_axis_event_tdata,   // {cycles since the event before, length}
    input  wire logic [TAG_BITS-1:0]              s_axis_event_tuser,
    input  wire logic                             s_axis_event_tvalid,
    output logic                                  s_axis_event_tready,

    output logic                                  result_valid,
    input  wire logic                             result_ready,
    output logic [TAG_BITS-1:0]                   result_tag,
    output logic                                  result_mismatch,
    output logic [DIRECTIONS-1:0]                 result_direction,
    output logic                                  result_wanted,
    output logic                                  result_ambiguous,
    output logic                                  result_featureless,
    output logic [TESTS-1:0]                      result_tests,
    output logic [GATES-1:0]                      result_gates,
    output logic [7:0]                            result_class,
    output logic [15:0]                           result_posterior,
    output logic [N_CLASSES*LOGIT_BITS-1:0]       result_logits
);
  if (TESTS < 2 || TESTS > 32 || GATES < 2 || GATES > 16 || SCALES < 2 || SCALES > 16) begin : gen_size_error
    $error("gate_engine: TESTS must be within 2..32, GATES and SCALES within 2..16");
  end
  if (FEATURES > 176) begin : gen_features_error
    $error("gate_engine: at most 176 features");
  end

  localparam int unsigned TestBits  = $clog2(TESTS);
  localparam int unsigned GateBits  = $clog2(GATES);
  localparam int unsigned ScaleBits = $clog2(SCALES);
  localparam int unsigned ClassBits = N_CLASSES > 1 ? $clog2(N_CLASSES) : 1;
  localparam int unsigned ScaleAddress = 1 + ScaleBits + 8;
  localparam logic [8:0]  FirstFeature = 9'd80;

  // ---------------------------------------------------------------- banks and the host's window
  logic       active_q, written_q, fetch_q;
  logic [1:0] fetching_q;
  logic       idle;                    // between two events

  // Of the index: a word of a test, of a gate, of a class, the counts, the identity; or a piece of a scale.
  wire       is_scale  = index[12];
  wire       is_test   = !is_scale && !index[11];
  wire       is_gate   = !is_scale && index[11] && index[7:6] == 2'd0;
  wire       is_class  = !is_scale && index[11] && index[7:6] == 2'd1;
  wire       is_counts = !is_scale && index[11] && index[7:0] == 8'h80;
  wire [3:0] corner    = index[5:2];
  wire [1:0] slot      = index[1:0];
  wire       shadow    = !active_q;
  wire       write     = written_q && !committing;

  // What was written, as written: the words behind the eighth corner's of a test hold those of no test.
  wire [10:0] copy_index = is_test ? index[10:0] : {index[4:0], 1'b1, index[7:5], 2'd3};
  logic [31:0] copy_word;
  gate_memory #(
      .WIDTH (32),
      .DEPTH (4096)
  ) copy (
      .clk,
      .we    (write && !is_scale),
      .waddr ({shadow, copy_index}),
      .wdata (data),
      .re    (1'b1),
      .raddr ({index_active ? active_q : shadow, copy_index}),
      .q     (copy_word)
  );

  logic        scaling;               // a test needs the scale's read port
  logic [27:0] scale_word;
  wire         host_reads = fetch_q && !scaling && !written_q;
  assign reading    = fetch_q || fetching_q != '0;
  assign read_valid = fetching_q[1];
  assign read_data  = is_scale ? {2'd0, scale_word[27:14], 2'd0, scale_word[13:0]} : copy_word;

  always_ff @(posedge clk) begin
    written_q  <= data_written;
    fetching_q <= {fetching_q[0], host_reads};
    if (index_written || data_written) fetch_q <= 1'b1;
    else if (host_reads) fetch_q <= 1'b0;
    committed <= 1'b0;
    if (commit) committing <= 1'b1;
    else if (committing && idle) begin
      committing <= 1'b0;
      committed  <= 1'b1;
      active_q   <= !active_q;
    end
    if (rst) begin
      active_q   <= 1'b0;
      committing <= 1'b0;
      written_q  <= 1'b0;
      fetch_q    <= 1'b0;
      fetching_q <= '0;
    end
  end

  // Counts of each bank; of none where it was never written since reset.
  logic [1:0][TestBits-1:0] last_test_q;
  logic [1:0][GateBits-1:0] last_gate_q;
  logic [1:0]               any_q;
  logic [1:0][3:0]          sets_q;
  always_ff @(posedge clk) begin
    if (write && is_counts) begin
      last_test_q[shadow] <= TestBits'(data[7:0] - 8'd1);
      last_gate_q[shadow] <= GateBits'(data[15:8] - 8'd1);
      any_q[shadow]       <= data[7:0] != '0 && data[15:8] != '0;
      sets_q[shadow]      <= data[19:16];
    end
    if (rst) any_q <= '0;
  end

  // ---------------------------------------------------------------- values
  logic                  value_valid, finished, posterior_done, taken;
  logic [7:0]            value_index, class_sets, best_sets;
  logic [31:0]           value_data;
  logic [ClassBits-1:0]  class_index;

  (* ram_style = "distributed" *) logic [7:0] class_memory [2 ** (ClassBits + 1)];
  always_ff @(posedge clk) begin
    if (write && is_class) class_memory[{shadow, index[ClassBits-1:0]}] <= data[7:0];
  end
  assign class_sets = class_memory[{active_q, class_index}];

  posterior #(
      .N_CLASSES  (N_CLASSES),
      .LOGIT_BITS (LOGIT_BITS),
      .TAG_BITS   (TAG_BITS)
  ) posteriors (
      .clk,
      .rst,
      .enable        (!committing && !commit),
      .multiplier,
      .shift,
      .sets          (sets_q[active_q]),
      .class_index,
      .class_sets,
      .s_axis_tdata  (s_axis_logits_tdata),
      .s_axis_tuser  (s_axis_logits_tuser),
      .s_axis_tvalid (s_axis_logits_tvalid),
      .s_axis_tready (s_axis_logits_tready),
      .value_valid,
      .value_index,
      .value_data,
      .finished,
      .done          (posterior_done),
      .taken,
      .tag           (result_tag),
      .best_class    (result_class),
      .best_sets,
      .posterior_0   (result_posterior),
      .logits        (result_logits)
  );

  typedef enum logic [2:0] {
    Collect,
    Test,      // a test a cycle enters the pipeline
    Follow,    // until the last of them is through
    Gate,      // a gate a cycle
    Resolve,   // the last gate's direction
    Result
  } state_e;

  state_e     state_q;
  logic       logits_open_q;           // an event's logits were taken, its result not yet
  logic       calibrated_q;            // the constants of its posteriors are known
  logic       event_half_q, event_in_q, features_in_q;
  logic [7:0] feature_index_q;
  logic [TAG_BITS-1:0] event_tag_q, feature_tag_q;

  wire collect       = state_q == Collect;
  wire event_now     = collect && s_axis_event_tvalid && !event_in_q && !value_valid;
  wire feature_now   = s_axis_feature_tvalid && s_axis_feature_tready;
  wire event_last    = event_now && event_half_q;
  wire feature_last  = feature_now && s_axis_feature_tlast;
  wire begin_now     = collect && (posterior_done || finished) && (event_in_q || event_last)
                       && (features_in_q || feature_last || FEATURES == 0);

  assign idle = collect && !logits_open_q;
  assign taken = result_valid && result_ready;
  assign s_axis_event_tready   = event_last;
  assign s_axis_feature_tready = collect && !features_in_q && !value_valid && !event_now && FEATURES != 0;

  // The event's two words, and features, in the cycles that the logits leave.
  wire        write_value  = value_valid || event_now || feature_now;
  wire [7:0]  write_index  = value_valid ? value_index : event_now ? {7'd4, event_half_q} : feature_index_q;
  wire [31:0] write_data   = value_valid ? value_data
                             : !event_now ? s_axis_feature_tdata
                             : event_half_q ? s_axis_event_tdata[63:32] : s_axis_event_tdata[31:0];
  // Kept as sign and magnitude, v or ~v, which the scales need.
  wire [31:0] write_kept  = {write_data[31], write_data[30:0] ^ {31{write_data[31]}}};
  always_ff @(posedge clk) begin
    if (event_now) begin
      event_half_q <= !event_half_q;
      event_tag_q  <= s_axis_event_tuser;
      if (event_half_q) event_in_q <= 1'b1;
    end
    if (feature_now) begin
      feature_index_q <= feature_index_q + 1'b1;
      feature_tag_q   <= s_axis_feature_tuser;
      result_featureless <= s_axis_feature_none;
      if (s_axis_feature_tlast) features_in_q <= 1'b1;
    end
    if (s_axis_logits_tvalid && s_axis_logits_tready) begin
      logits_open_q <= 1'b1;
      calibrated_q  <= calibrated;
    end
    if (taken) begin
      logits_open_q   <= 1'b0;
      event_in_q      <= 1'b0;
      features_in_q   <= 1'b0;
      feature_index_q <= FirstFeature[7:0];
    end
    if (FEATURES == 0) result_featureless <= 1'b1;
    if (rst) begin
      logits_open_q   <= 1'b0;
      event_half_q    <= 1'b0;
      event_in_q      <= 1'b0;
      features_in_q   <= 1'b0;
      feature_index_q <= FirstFeature[7:0];
    end
  end

  // ---------------------------------------------------------------- tests, one a cycle, the last one first
  // Words of a test that are needed at once, ahead of the counter: word 0 waits at the output.
  logic                  ahead_run, ahead_gates;
  logic [1:0]            fill_q;       // one cycle to begin anew, two that fetch the first words
  wire                   filling = fill_q == 2'd2 || fill_q == 2'd1;
  logic [TestBits-1:0]   ahead_test_q, test_q;
  logic [GateBits-1:0]   ahead_gate_q, gate_q;
  logic [31:0]           word_x, word_y;
  logic [11:0]           word_flags;
  wire  [TestBits-1:0]   host_test = index[6+:TestBits];
  wire                   write_test = write && is_test && {1'b0, index[10:6]} < 6'(TESTS);

  assign ahead_run   = filling || state_q == Test;
  assign ahead_gates = filling || state_q == Gate;
  gate_memory #(.WIDTH (32), .DEPTH (2 ** (TestBits + 1))) x_words (
      .clk, .we (write_test && corner == 4'd0 && slot == 2'd3), .waddr ({shadow, host_test}), .wdata (data),
      .re (ahead_run), .raddr ({active_q, ahead_test_q}), .q (word_x)
  );
  gate_memory #(.WIDTH (32), .DEPTH (2 ** (TestBits + 1))) y_words (
      .clk, .we (write_test && corner == 4'd1 && slot == 2'd3), .waddr ({shadow, host_test}), .wdata (data),
      .re (ahead_run), .raddr ({active_q, ahead_test_q}), .q (word_y)
  );
  gate_memory #(.WIDTH (12), .DEPTH (2 ** (TestBits + 1))) flag_words (
      .clk, .we (write_test && corner == 4'd2 && slot == 2'd3), .waddr ({shadow, host_test}), .wdata (data[11:0]),
      .re (ahead_run), .raddr ({active_q, ahead_test_q}), .q (word_flags)
  );

  // Stage n of a test is n cycles behind the one in which its values are addressed.
  localparam int unsigned Stages = 14;
  logic [Stages:0]               running_q, last_q, unknown_q;
  logic [7:0][TestBits-1:0]      number_q;
  logic [Stages:0][11:0]         flags_q;
  logic [1:0][31:0]              axis_x_q, axis_y_q;
  wire                           last_test = test_q == '0;
  wire [8:0]                     known     = !calibrated_q ? 9'd0 : FirstFeature + (result_featureless ? 9'd0 : 9'(FEATURES));

  assign scaling = running_q[5];
  always_comb begin
    running_q[0] = state_q == Test;
    last_q[0]    = state_q == Test && last_test;
    number_q[0]  = test_q;
    flags_q[0]   = word_flags;
    axis_x_q[0]  = word_x;
    axis_y_q[0]  = word_y;
    unknown_q[0] = 9'(word_x[7:0]) >= known || 9'(word_y[7:0]) >= known;
  end
  always_ff @(posedge clk) begin
    running_q[Stages:1] <= running_q[Stages-1:0];
    last_q[Stages:1]    <= last_q[Stages-1:0];
    number_q[7:1]       <= number_q[6:0];
    flags_q[Stages:1]   <= flags_q[Stages-1:0];
    unknown_q[Stages:1] <= unknown_q[Stages-1:0];
    axis_x_q[1]         <= axis_x_q[0];
    axis_y_q[1]         <= axis_y_q[0];
    if (rst) running_q[Stages:1] <= '0;
  end

  logic [31:0] kept_x, kept_y;
  wire  [31:0] value_x = {kept_x[31], kept_x[30:0] ^ {31{kept_x[31]}}};
  wire  [31:0] value_y = {kept_y[31], kept_y[30:0] ^ {31{kept_y[31]}}};
  gate_memory #(.WIDTH (32), .DEPTH (256)) x_values (
      .clk, .we (write_value), .waddr (write_index), .wdata (write_kept),
      .re (1'b1), .raddr (word_x[7:0]), .q (kept_x)
  );
  gate_memory #(.WIDTH (32), .DEPTH (256)) y_values (
      .clk, .we (write_value), .waddr (write_index), .wdata (write_kept),
      .re (1'b1), .raddr (word_y[7:0]), .q (kept_y)
  );

  // Range: bounds of the value itself.
  logic [3:0][31:0] bounds;
  for (genvar b = 0; b < 4; b++) begin : gen_bound
    gate_memory #(.WIDTH (32), .DEPTH (2 ** (TestBits + 1))) bound (
        .clk, .we (write_test && corner == 4'(4 + b) && slot == 2'd3), .waddr ({shadow, host_test}), .wdata (data),
        .re (1'b1), .raddr ({active_q, test_q}), .q (bounds[b])
    );
  end
  logic [3:0]          inside_q;
  logic [Stages:4]     within_q;
  wire  [2:0]          class_set = flags_q[3][11:9];
  always_ff @(posedge clk) begin
    inside_q[0] <= $signed(value_x) >= $signed(bounds[0]);
    inside_q[1] <= $signed(value_x) <= $signed(bounds[1]);
    inside_q[2] <= $signed(value_y) >= $signed(bounds[2]);
    inside_q[3] <= $signed(value_y) <= $signed(bounds[3]);
    within_q   <= {within_q[Stages-1:4], &inside_q && (best_sets[class_set] || !flags_q[3][8])};
  end

  // Shapes: coordinates, then edges.
  logic [13:0] coordinate_x, coordinate_y;
  wire         write_scale   = write && is_scale && {1'b0, index[11:8]} < 5'(SCALES);
  wire [ScaleAddress-1:0] host_piece = {shadow, index[8+:ScaleBits], index[7:0]};
  wire [27:0]  piece_data = {data[29:16], data[13:0]};

  gate_scale #(.SCALES (SCALES)) scale_x (
      .clk,
      .sign       (kept_x[31]),
      .magnitude  (kept_x[30:0]),
      .scale      (axis_x_q[1][8+:ScaleBits]),
      .mantissa   (axis_x_q[1][14:12]),
      .octaves    (axis_x_q[1][19:15]),
      .start      (axis_x_q[1][31:20]),
      .bank       (active_q),
      .coordinate (coordinate_x),
      .we         (write_scale),
      .waddr      (host_piece),
      .wdata      (piece_data),
      .host       (host_reads),
      .host_addr  ({index_active ? active_q : shadow, host_piece[ScaleAddress-2:0]}),
      .host_word  (scale_word)
  );
  /* verilator lint_off PINCONNECTEMPTY */
  gate_scale #(.SCALES (SCALES)) scale_y (
      .clk,
      .sign       (kept_y[31]),
      .magnitude  (kept_y[30:0]),
      .scale      (axis_y_q[1][8+:ScaleBits]),
      .mantissa   (axis_y_q[1][14:12]),
      .octaves    (axis_y_q[1][19:15]),
      .start      (axis_y_q[1][31:20]),
      .bank       (active_q),
      .coordinate (coordinate_y),
      .we         (write_scale),
      .waddr      (host_piece),
      .wdata      (piece_data),
      .host       (1'b0),
      .host_addr  ('0),
      .host_word  ()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  logic [63:0]              corner_q;  // the first two words of a corner, until the third comes
  logic [CORNERS-1:0][71:0] edges;
  always_ff @(posedge clk) begin
    if (write_test && slot == 2'd0) corner_q[31:0] <= data;
    if (write_test && slot == 2'd1) corner_q[63:32] <= data;
  end
  for (genvar i = 0; i < CORNERS; i++) begin : gen_corner
    gate_memory #(.WIDTH (72), .DEPTH (2 ** (TestBits + 1))) corner_words (
        .clk, .we (write_test && corner == 4'(i) && slot == 2'd2), .waddr ({shadow, host_test}),
        .wdata ({data[7:0], corner_q}), .re (running_q[7] || running_q[8]), .raddr ({active_q, number_q[7]}), .q (edges[i])
    );
  end

  logic shape_hit;
  gate_shape #(.CORNERS (CORNERS)) shape (
      .clk,
      .x       (coordinate_x),
      .y       (coordinate_y),
      .edges,
      .ellipse (flags_q[9][1]),
      .shift_u (flags_q[9][4:2]),
      .shift_v (flags_q[9][7:5]),
      .hit     (shape_hit)
  );

  // ---------------------------------------------------------------- gates, one a cycle, and the direction
  logic [3:0][31:0] gate_words;
  for (genvar w = 0; w < 4; w++) begin : gen_gate_word
    gate_memory #(.WIDTH (32), .DEPTH (2 ** (GateBits + 1))) gate_word (
        .clk, .we (write && is_gate && {1'b0, index[5:2]} < 5'(GATES) && slot == 2'(w)),
        .waddr ({shadow, index[2+:GateBits]}), .wdata (data),
        .re (ahead_gates), .raddr ({active_q, ahead_gate_q}), .q (gate_words[w])
    );
  end

  logic [GATES-1:0] gate_here_q;    // one hot: gate_q
  logic            hit_q, doubt_q, any_hit_q;
  logic [TESTS-1:0] unknown_tests_q;
  logic [GATES-1:0] unknown_gates_q;
  logic [2:0]      hit_direction_q, hit_priority_q, highest_q;
  // What a gate does not name does not count.
  wire [TESTS-1:0] tests_true = ~gate_words[0][TESTS-1:0] | (result_tests ^ gate_words[1][TESTS-1:0]);
  wire [GATES-1:0] gates_true = ~gate_words[2][GATES-1:0] | (result_gates ^ gate_words[2][16+:GATES]);
  wire             gate_unknown = |(gate_words[0][TESTS-1:0] & unknown_tests_q) || |(gate_words[2][GATES-1:0] & unknown_gates_q);
  wire             gate_true  = ((&tests_true && &gates_true) ^ gate_words[3][0]) && !gate_unknown;
  wire             last_gate  = gate_q == last_gate_q[active_q];

  assign result_valid    = state_q == Result;
  assign result_wanted   = result_direction != '0;
  assign result_mismatch = event_tag_q != result_tag || (FEATURES != 0 && feature_tag_q != result_tag);

  always_ff @(posedge clk) begin
    if (fill_q != '0) fill_q <= fill_q - 1'b1;
    if (ahead_run) ahead_test_q <= ahead_test_q - 1'b1;
    if (ahead_gates) ahead_gate_q <= ahead_gate_q + 1'b1;
    if (fill_q == 2'd3) begin
      ahead_test_q <= last_test_q[active_q];
      ahead_gate_q <= '0;
      test_q       <= last_test_q[active_q];
    end
    if (running_q[Stages]) begin
      result_tests    <= {result_tests[TESTS-2:0], (flags_q[Stages][1:0] == 2'd0 ? within_q[Stages] : shape_hit) && !unknown_q[Stages]};
      unknown_tests_q <= {unknown_tests_q[TESTS-2:0], unknown_q[Stages]};
    end
    hit_q <= 1'b0;
    if (hit_q) begin
      any_hit_q <= 1'b1;
      if (!any_hit_q || hit_priority_q > highest_q) begin
        highest_q        <= hit_priority_q;
        result_direction <= doubt_q ? '0 : DIRECTIONS'(1) << hit_direction_q;
        result_ambiguous <= doubt_q;
      end else if (hit_priority_q == highest_q) begin
        result_direction <= '0;
        result_ambiguous <= 1'b1;
      end
    end
    unique case (state_q)
      Collect: begin
        gate_q           <= '0;
        gate_here_q      <= GATES'(1);
        any_hit_q        <= 1'b0;
        result_direction <= '0;
        result_ambiguous <= 1'b0;
        result_tests     <= '0;
        result_gates     <= '0;
        unknown_tests_q  <= '0;
        unknown_gates_q  <= '0;
        if (begin_now) state_q <= Test;
      end
      Test: begin
        test_q <= test_q - 1'b1;
        if (last_test) state_q <= Follow;
      end
      Follow: if (running_q[Stages] && last_q[Stages]) state_q <= Gate;
      Gate: begin
        gate_q          <= gate_q + 1'b1;
        gate_here_q     <= gate_here_q << 1;
        hit_q           <= (gate_true || gate_unknown) && gate_words[3][1] && any_q[active_q];
        doubt_q         <= gate_unknown;
        hit_direction_q <= gate_words[3][4:2];
        hit_priority_q  <= gate_words[3][7:5];
        for (int unsigned g = 0; g < GATES; g++) begin
          if (gate_here_q[g]) result_gates[g]    <= gate_true;
          if (gate_here_q[g]) unknown_gates_q[g] <= gate_unknown;
        end
        if (last_gate) state_q <= Resolve;
      end
      Resolve: state_q <= Result;
      default: if (taken) state_q <= Collect;
    endcase
    // The first words of the next event's set.
    if (rst || taken || (committing && idle)) begin
      fill_q <= 2'd3;
    end
    if (rst) state_q <= Collect;
  end

  // An event sees one set: from its logits to its result no other comes in force. What is in force is not written: every
  // write above is to the shadow bank.
  logic open_before_q, active_before_q;
  always_ff @(posedge clk) begin
    open_before_q   <= logits_open_q && !rst;
    active_before_q <= active_q;
  end
  assert property (@(posedge clk) disable iff (rst) !open_before_q || active_q == active_before_q);
  assert property (@(posedge clk) disable iff (rst) state_q == Collect || logits_open_q);
  assert property (@(posedge clk) disable iff (rst) $onehot0(result_direction));

endmodule

`default_nettype wire
