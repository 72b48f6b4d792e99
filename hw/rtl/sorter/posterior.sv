// SPDX-License-Identifier: Apache-2.0
//
// posterior: logits to the best class and the posteriors of up to 8 class sets. Bit-true model: sim/bit_true/gate.py.
//
//   Finds the best class (lowest index at ties), turns each distance to it into a weight 2^(-u) by table and shift, sums the
//   weights of each class set and of all, and divides: posteriors, unsigned 0.16, rounded down, at most 65535.
//   Handshake   s_axis: all logits in one beat, class 0 at the LSB, tuser the event's tag; taken in a cycle of `ready` and
//               `enable`. What is found stays, with `done` high, until `taken`.
//   Constants   odds are (distance * multiplier) >> shift, multiplier 1..2^18-1, shift 0..47, as they are with the logits: of an event they are one pair.
//   Class sets  bit s of class_sets says whether the class class_index is in set s, in the same cycle; they and `sets`, how
//               many are used, must not change from the logits to `done`.
//   Values      each logit, sign extended, and then each posterior is one cycle of value_valid with its index in the gate
//               engine's table: 16 + class, set. `finished` is high with the last one.
//   Latency     2 N + 22 + sets cycles from the logits to `finished` (sets at least 1), N = N_CLASSES; `done` one cycle later.
//   Interval    one event at a time: s_axis_tready is high from the cycle behind `taken` on.
//   Reset       idle; an evaluation under way is forgotten.
`default_nettype none

module posterior #(
    parameter int unsigned N_CLASSES  = 7,
    parameter int unsigned LOGIT_BITS = 20,
    parameter int unsigned TAG_BITS   = 8,
    localparam int unsigned IndexBits = N_CLASSES > 1 ? $clog2(N_CLASSES) : 1
) (
    input  wire logic                             clk,
    input  wire logic                             rst,

    input  wire logic                             enable,
    input  wire logic [17:0]                      multiplier,
    input  wire logic [5:0]                       shift,
    input  wire logic [3:0]                       sets,
    output logic [IndexBits-1:0]                  class_index,
    input  wire logic [7:0]                       class_sets,

    input  wire logic [N_CLASSES*LOGIT_BITS-1:0]  s_axis_tdata,
    input  wire logic [TAG_BITS-1:0]              s_axis_tuser,
    input  wire logic                             s_axis_tvalid,
    output logic                                  s_axis_tready,

    output logic                                  value_valid,
    output logic [7:0]                            value_index,
    output logic [31:0]                           value_data,
    output logic                                  finished,

    output logic                                  done,
    input  wire logic                             taken,
    output logic [TAG_BITS-1:0]                   tag,
    output logic [7:0]                            best_class,
    output logic [7:0]                            best_sets,      // the sets that the best class is in
    output logic [15:0]                           posterior_0,     // of set 0
    output logic [N_CLASSES*LOGIT_BITS-1:0]       logits
);
  if (N_CLASSES < 1 || N_CLASSES > 64) begin : gen_classes_error
    $error("posterior: N_CLASSES must be within 1..64");
  end
  if (LOGIT_BITS < 1 || LOGIT_BITS > 32) begin : gen_logits_error
    $error("posterior: LOGIT_BITS must be within 1..32");
  end

  localparam int unsigned Sets        = 8;
  localparam int unsigned SumBits     = 17 + $clog2(N_CLASSES);
  localparam int unsigned ProductBits = LOGIT_BITS + 18;
  // Odds beyond 16 octaves, and whether there are any: widened so that the slices below exist for every width.
  localparam int unsigned OddsBits    = ProductBits > 16 ? ProductBits : 16;

  typedef enum logic [2:0] {
    Idle,
    Best,
    Weigh,
    Drain,
    Divide,
    Emit,
    Done
  } state_e;

  state_e                       state_q;
  logic [IndexBits-1:0]         index_q;
  logic signed [LOGIT_BITS-1:0] best_q;

  // Weighing pipeline: distance, product, its shift by eights and by ones, table, shift, sum.
  logic [5:0]                   valid_q;
  logic [5:0][Sets-1:0]         inside_q;
  logic [17:0]                  multiplier_q;
  logic [5:0]                   shift_q;
  logic [LOGIT_BITS-1:0]        distance_q;
  logic [ProductBits-1:0]       product_q, eights_q;
  logic [OddsBits-1:0]          odds_q;
  logic [4:0]                   octaves_q;
  logic                         beyond_q;
  logic [16:0]                  power;
  logic [16:0]                  weight_q;
  logic [SumBits-1:0]           sum_all_q;
  // The sum of a set, then the remainder of its division, which is not restored: where it is negative the sum of all is added next.
  logic [Sets-1:0][SumBits:0]   rest_q, rest;
  logic [Sets-1:0][15:0]        quotient_q;
  logic [4:0]                   step_q;     // quotient bits still to come, then sets sent

  wire signed [LOGIT_BITS-1:0] logit = $signed(logits[LOGIT_BITS-1:0]);
  wire                         last  = index_q == IndexBits'(N_CLASSES - 1);
  wire                         first = index_q == '0;
  wire [N_CLASSES*LOGIT_BITS-1:0] logits_turned =
      (logits >> LOGIT_BITS) | (logits << ((N_CLASSES - 1) * LOGIT_BITS));
  wire                         none  = sets == '0;

  wire               divide  = state_q == Divide;
  wire [SumBits:0]   operand = divide ? (SumBits + 1)'(sum_all_q) : (SumBits + 1)'(weight_q);
  always_comb begin
    for (int unsigned s = 0; s < Sets; s++) begin
      automatic logic less = divide && !rest_q[s][SumBits];
      // One carry chain: its lowest bit is the carry.
      rest[s] = (SumBits + 1)'(({divide ? rest_q[s] << 1 : rest_q[s], 1'b1} + {operand ^ {SumBits + 1{less}}, less}) >> 1);
    end
  end

  assign s_axis_tready = state_q == Idle && enable;
  assign done          = state_q == Done;
  assign class_index   = index_q;
  assign posterior_0   = quotient_q[0];
  assign value_valid   = state_q == Best || (state_q == Emit && !none);
  assign value_index   = state_q == Best ? 8'd16 + 8'(index_q) : 8'(step_q[2:0]);
  assign value_data    = state_q == Best ? 32'(logit) : 32'(quotient_q[step_q[2:0]]);
  assign finished      = state_q == Emit && (none || step_q[3:0] == sets - 1'b1);

  exp2_table exp2_table_i (
      .clk,
      .enable   (valid_q[3]),
      .fraction (odds_q[7:0]),
      .value    (power)
  );

  always_ff @(posedge clk) begin
    valid_q <= {valid_q[4:0], state_q == Weigh};
    unique case (state_q)
      Idle: begin
        if (s_axis_tvalid && enable) begin
          logits       <= s_axis_tdata;
          tag          <= s_axis_tuser;
          multiplier_q <= multiplier;
          shift_q      <= shift;
          index_q      <= '0;
          state_q      <= Best;
        end
      end
      Best: begin
        if (first || logit > best_q) begin
          best_q     <= logit;
          best_sets  <= class_sets;
          best_class <= 8'(index_q);
        end
        logits  <= logits_turned;
        index_q <= last ? '0 : index_q + 1'b1;
        if (last) begin
          state_q   <= Weigh;
          sum_all_q <= '0;
        end
      end
      Weigh: begin
        distance_q  <= LOGIT_BITS'(best_q - logit);
        inside_q[0] <= class_sets;
        logits      <= logits_turned;
        index_q     <= last ? '0 : index_q + 1'b1;
        if (last) state_q <= Drain;
      end
      Drain: begin
        step_q <= 5'd15;
        if (valid_q[4:0] == '0) state_q <= Divide;
      end
      Divide: begin
        step_q <= step_q - 1'b1;
        if (step_q == '0) begin
          step_q  <= '0;
          state_q <= Emit;
        end
      end
      Emit: begin
        step_q <= step_q + 1'b1;
        if (finished) state_q <= Done;
      end
      default: if (taken) state_q <= Idle;
    endcase
    // The pipeline drains on its own behind Weigh.
    inside_q[5:1] <= inside_q[4:0];
    if (valid_q[0]) product_q <= ProductBits'(distance_q) * ProductBits'(multiplier_q);
    if (valid_q[1]) eights_q <= product_q >> {shift_q[5:3], 3'd0};
    if (valid_q[2]) odds_q <= OddsBits'(eights_q >> shift_q[2:0]);
    if (valid_q[3]) begin
      octaves_q <= odds_q[12:8];
      beyond_q  <= (odds_q >> 8) > OddsBits'(16);
    end
    if (valid_q[4]) weight_q <= beyond_q ? '0 : power >> octaves_q;
    if (valid_q[5]) sum_all_q <= sum_all_q + SumBits'(weight_q);
    for (int unsigned s = 0; s < Sets; s++) begin
      if (state_q == Best) rest_q[s] <= '0;
      if (divide || (valid_q[5] && inside_q[5][s])) rest_q[s] <= rest[s];
      // All ones where the set holds all the weight: saturates.
      if (divide) quotient_q[s] <= {quotient_q[s][14:0], !rest[s][SumBits]};
    end
    if (rst) begin
      state_q <= Idle;
      valid_q <= '0;
    end
  end

  // The best class alone weighs 1, so the division never meets a zero.
  assert property (@(posedge clk) disable iff (rst) state_q != Divide || sum_all_q >= SumBits'(65536));

endmodule

`default_nettype wire
