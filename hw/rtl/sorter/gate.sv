// SPDX-License-Identifier: Apache-2.0
//
// gate: is the best class in the set, and sure enough? Bit-true model: sim/bit_true/gate.py.
//
//   Finds the best class (lowest index at ties), turns each distance to it into a weight 2^(-u) by table and shift, compares the
//   weight of the class set with `threshold` times the weight of all, and reports the posterior of the set, unsigned 0.16.
//   Handshake   s_axis: all logits in one beat, class 0 at the LSB; the gate in force (class_set, threshold) is taken with
//               it. result_valid stays high with stable values until result_ready. posterior_valid is one pulse for each
//               result, always after the result was taken; posterior holds until the next result.
//   Latency     2 N + 7 cycles from the logits to result_valid, N = N_CLASSES. The division behind the reported posterior is
//               off that path: posterior_valid comes 1 cycle after the result was taken or, if that is later, 17 cycles
//               after result_valid rose.
//   Interval    2 N + 24 cycles where results are taken at once; s_axis_tready is low meanwhile.
//   Reset       idle; an evaluation under way is forgotten.
`default_nettype none

module gate #(
    parameter int unsigned N_CLASSES  = 7,
    parameter int unsigned LOGIT_BITS = 20,
    parameter int unsigned POST_MULT  = 1,
    parameter int unsigned POST_SHIFT = 0
) (
    input  wire logic                             clk,
    input  wire logic                             rst,

    input  wire logic [N_CLASSES-1:0]             class_set,
    input  wire logic [15:0]                      threshold,

    input  wire logic [N_CLASSES*LOGIT_BITS-1:0]  s_axis_tdata,
    input  wire logic                             s_axis_tvalid,
    output logic                                  s_axis_tready,

    output logic                                  result_valid,
    input  wire logic                             result_ready,
    output logic                                  result_pass,
    output logic [7:0]                            result_class,
    output logic [N_CLASSES*LOGIT_BITS-1:0]       result_logits,

    output logic                                  posterior_valid,
    output logic [15:0]                           posterior
);
  if (N_CLASSES < 1 || N_CLASSES > 64) begin : gen_classes_error
    $error("gate: N_CLASSES must be within 1..64");
  end
  if (LOGIT_BITS < 1 || LOGIT_BITS > 32) begin : gen_logits_error
    $error("gate: LOGIT_BITS must be within 1..32");
  end
  if (POST_MULT < 1 || POST_MULT >= 2 ** 18 || POST_SHIFT > 47) begin : gen_posterior_error
    $error("gate: POST_MULT must be within 1..2^18-1 and POST_SHIFT within 0..47");
  end

  localparam int unsigned IndexBits   = $clog2(N_CLASSES + 1);
  localparam int unsigned SumBits     = 17 + $clog2(N_CLASSES);
  localparam int unsigned ProductBits = LOGIT_BITS + 18;
  // Odds beyond 16 octaves, and whether there are any: widened so that the slices below exist for every width.
  localparam int unsigned OddsBits    = ProductBits > 16 ? ProductBits : 16;

  typedef enum logic [2:0] {
    Idle,
    Best,
    Weigh,
    Scale,
    Compare,
    Result
  } state_e;

  state_e                                  state_q;
  logic [N_CLASSES*LOGIT_BITS-1:0]         logits_q;    // turns by one class a cycle, back in place after N
  logic [N_CLASSES-1:0]                    set_q;       // turns with it
  logic [15:0]                             threshold_q;
  logic [IndexBits-1:0]                    index_q;
  logic signed [LOGIT_BITS-1:0]            best_q;
  logic                                    best_in_set_q;

  // Weighing pipeline: distance, product, table, shift, sum.
  logic [3:0]                              valid_q;
  logic [3:0]                              inside_q;
  logic [LOGIT_BITS-1:0]                   distance_q;
  logic [OddsBits-1:0]                     odds_q;
  logic [4:0]                              octaves_q;
  logic                                    beyond_q;
  logic [16:0]                             power;
  logic [16:0]                             weight_q;
  logic [SumBits-1:0]                      sum_in_q, sum_all_q;

  logic [SumBits+15:0]                     required_q;
  logic [SumBits:0]                        remainder_q;
  logic [4:0]                              divide_q;    // quotient bits still to come

  wire signed [LOGIT_BITS-1:0] logit = $signed(logits_q[LOGIT_BITS-1:0]);
  wire                         last  = index_q == IndexBits'(N_CLASSES - 1);
  wire                         first = index_q == '0;
  wire [N_CLASSES*LOGIT_BITS-1:0] logits_turned =
      (logits_q >> LOGIT_BITS) | (logits_q << ((N_CLASSES - 1) * LOGIT_BITS));
  wire [N_CLASSES-1:0]            set_turned = (set_q >> 1) | (set_q << (N_CLASSES - 1));
  wire [SumBits:0]                doubled  = remainder_q << 1;
  wire                            fits     = doubled >= (SumBits + 1)'(sum_all_q);
  wire                            taken    = result_valid && result_ready;

  assign s_axis_tready = state_q == Idle;
  assign result_logits = logits_q;

  exp2_table exp2_table_i (
      .clk,
      .enable   (valid_q[1]),
      .fraction (odds_q[7:0]),
      .value    (power)
  );

  always_ff @(posedge clk) begin
    posterior_valid <= 1'b0;
    valid_q         <= {valid_q[2:0], state_q == Weigh};
    unique case (state_q)
      Idle: begin
        if (s_axis_tvalid) begin
          logits_q    <= s_axis_tdata;
          set_q       <= class_set;
          threshold_q <= threshold;
          index_q     <= '0;
          state_q     <= Best;
        end
      end
      Best: begin
        if (first || logit > best_q) begin
          best_q        <= logit;
          best_in_set_q <= set_q[0];
          result_class  <= 8'(index_q);
        end
        logits_q <= logits_turned;
        set_q    <= set_turned;
        index_q  <= last ? '0 : index_q + 1'b1;
        if (last) begin
          state_q   <= Weigh;
          sum_in_q  <= '0;
          sum_all_q <= '0;
        end
      end
      Weigh: begin
        distance_q  <= LOGIT_BITS'(best_q - logit);
        inside_q[0] <= set_q[0];
        logits_q    <= logits_turned;
        set_q       <= set_turned;
        index_q     <= last ? '0 : index_q + 1'b1;
        if (last) state_q <= Scale;
      end
      Scale: begin
        if (valid_q == '0) begin
          required_q <= threshold_q * sum_all_q;
          state_q    <= Compare;
        end
      end
      Compare: begin
        result_valid <= 1'b1;
        result_pass  <= best_in_set_q && {sum_in_q, 16'd0} >= required_q;
        remainder_q  <= (SumBits + 1)'(sum_in_q);
        divide_q     <= 5'd16;
        state_q      <= Result;
      end
      default: begin
        if (taken) result_valid <= 1'b0;
        if (divide_q != '0) begin
          divide_q    <= divide_q - 1'b1;
          remainder_q <= fits ? doubled - (SumBits + 1)'(sum_all_q) : doubled;
          posterior   <= {posterior[14:0], fits};  // all ones where the set holds all the weight: saturates
        end else if (taken || !result_valid) begin
          posterior_valid <= 1'b1;
          state_q         <= Idle;
        end
      end
    endcase
    // The pipeline drains on its own behind Weigh.
    inside_q[3:1] <= inside_q[2:0];
    if (valid_q[0]) odds_q <= OddsBits'((ProductBits'(distance_q) * ProductBits'(POST_MULT)) >> POST_SHIFT);
    if (valid_q[1]) begin
      octaves_q <= odds_q[12:8];
      beyond_q  <= (odds_q >> 8) > OddsBits'(16);
    end
    if (valid_q[2]) weight_q <= beyond_q ? '0 : power >> octaves_q;
    if (valid_q[3]) begin
      sum_all_q <= sum_all_q + SumBits'(weight_q);
      if (inside_q[3]) sum_in_q <= sum_in_q + SumBits'(weight_q);
    end
    if (rst) begin
      state_q         <= Idle;
      valid_q         <= '0;
      result_valid    <= 1'b0;
      posterior_valid <= 1'b0;
    end
  end

  // The best class alone weighs 1, so the division never meets a zero.
  assert property (@(posedge clk) disable iff (rst) state_q != Compare || sum_all_q >= SumBits'(65536));

endmodule

`default_nettype wire
