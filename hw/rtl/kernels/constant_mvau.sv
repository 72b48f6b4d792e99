// SPDX-License-Identifier: Apache-2.0
//
// constant_mvau: matrix times vector, all rows and columns at once, by adders of constant weights (FINN: MVAU without
// activation). This is what stands around the adders: `icsort compile` generates a module a layer that has them, from
// the layer's weights, and this one inside.
//
//   Input       vectors of MW activations, one a beat; the first activation at the LSB.
//   Output      MH sums, signed, one vector a beat; the first row at the LSB.
//   Digits      an activation goes through the adders in DIGITS parts of ACT_BITS / DIGITS bits, the most significant one
//               first: adders of fewer bits, and DIGITS cycles a vector. DIGITS > 1 is for unsigned activations.
//   Adders      `operands` are the digits of all columns that the adders take in this cycle, `sums` their result for what
//               `operands` were DELAY cycles ago, ACC_BITS a row, modulo 2^ACC_BITS. Nothing stops them: no register of
//               theirs has an enable or a reset.
//   Made of     ADDER_BITS and REGISTER_BITS of the adders, for who counts resources; the hardware does not ask.
//   Handshake   AXI4-Stream; ready and valid come from registers, no path leads through. A vector is taken when its place
//               in the FIFO at the end is free, so that the adders never have to wait.
//   Latency     DELAY + 2 cycles from an input beat to its output beat; with DIGITS > 1 DELAY + DIGITS + 2.
//   Interval    DIGITS cycles a vector.
//   Reset       what is inside is lost; the next beat is the first one.
//   Overflow    arithmetic is modulo 2^ACC_BITS: the result is right if it fits in ACC_BITS. The FIFO cannot overflow.
`default_nettype none

module constant_mvau #(
    parameter int unsigned MW            = 4,
    parameter int unsigned MH            = 2,
    parameter int unsigned ACT_BITS      = 4,
    parameter int unsigned ACC_BITS      = 12,
    parameter int unsigned DIGITS        = 1,
    parameter int unsigned DELAY         = 2,
    /* verilator lint_off UNUSEDPARAM */
    parameter int unsigned ADDER_BITS    = 0,
    parameter int unsigned REGISTER_BITS = 0,
    /* verilator lint_on UNUSEDPARAM */
    localparam int unsigned DigitBits    = ACT_BITS / DIGITS
) (
    input  wire logic                     clk,
    input  wire logic                     rst,

    input  wire logic [MW*ACT_BITS-1:0]   s_axis_tdata,
    input  wire logic                     s_axis_tvalid,
    output logic                          s_axis_tready,

    output logic [MW*DigitBits-1:0]       operands,
    input  wire logic [MH*ACC_BITS-1:0]   sums,

    output logic [MH*ACC_BITS-1:0]        m_axis_tdata,
    output logic                          m_axis_tvalid,
    input  wire logic                     m_axis_tready
);
  if (MW < 1 || MH < 1) begin : gen_size_error
    $error("constant_mvau: MW and MH must be at least 1");
  end
  if (ACT_BITS < 1 || ACC_BITS < 1) begin : gen_bits_error
    $error("constant_mvau: ACT_BITS and ACC_BITS must be at least 1");
  end
  if (DIGITS < 1 || ACT_BITS % DIGITS != 0) begin : gen_digits_error
    $error("constant_mvau: DIGITS must divide ACT_BITS");
  end

  // Vectors from whose taking on until their place is free again another one may come each DIGITS cycles.
  localparam int unsigned Cycles    = DELAY + 3 + (DIGITS > 1 ? DIGITS : 0);
  localparam int unsigned Places    = (Cycles + DIGITS - 1) / DIGITS;
  localparam int unsigned CountBits = $clog2(Places + 1);

  logic [CountBits-1:0] held_q;  // vectors that have a place
  logic                 done;    // no digit of the vector in act_q is left

  assign s_axis_tready = held_q != CountBits'(Places) && done;

  wire take = s_axis_tvalid && s_axis_tready;
  wire give = m_axis_tvalid && m_axis_tready;

  always_ff @(posedge clk) begin
    if (take && !give) held_q <= held_q + 1'b1;
    if (give && !take) held_q <= held_q - 1'b1;
    if (rst) held_q <= '0;
  end

  // ---- The vector, and which of its digits are among the operands.

  logic [MW*ACT_BITS-1:0] act_q;
  logic                   first, last;

  for (genvar i = 0; i < MW; i++) begin : gen_operand
    assign operands[i*DigitBits +: DigitBits] = act_q[(i+1)*ACT_BITS-1 -: DigitBits];
  end

  if (DIGITS > 1) begin : gen_digits
    logic [$clog2(DIGITS)-1:0] left_q;  // digits behind the one among the operands
    logic                      first_q, busy_q;

    assign first = first_q;
    assign last  = busy_q && done;
    assign done  = left_q == '0;

    always_ff @(posedge clk) begin
      first_q <= take;
      if (take) begin
        act_q  <= s_axis_tdata;
        left_q <= $clog2(DIGITS)'(DIGITS - 1);
        busy_q <= 1'b1;
      end else begin
        act_q <= act_q << DigitBits;  // what comes over from the next activation is never used
        if (done) busy_q <= 1'b0;
        else left_q <= left_q - 1'b1;
      end
      if (rst) begin
        left_q <= '0;
        busy_q <= 1'b0;
      end
    end
  end else begin : gen_whole
    logic last_q;

    assign first = last_q;
    assign last  = last_q;
    assign done  = 1'b1;

    always_ff @(posedge clk) begin
      if (take) act_q <= s_axis_tdata;
      last_q <= take;
      if (rst) last_q <= 1'b0;
    end
  end

  // ---- Beside the adders, what their sums are of: [i] is i cycles ago.

  logic [DELAY:0] first_d, last_d;

  assign first_d[0] = first;
  assign last_d[0]  = last;
  if (DELAY > 0) begin : gen_delay
    always_ff @(posedge clk) begin
      first_d[DELAY:1] <= first_d[DELAY-1:0];
      last_d[DELAY:1]  <= last_d[DELAY-1:0];
      if (rst) last_d[DELAY:1] <= '0;
    end
  end

  logic [MH*ACC_BITS-1:0] result;
  logic                   result_valid;

  if (DIGITS > 1) begin : gen_accumulate
    logic [ACC_BITS-1:0] acc_q [MH];
    logic                valid_q;

    for (genvar row = 0; row < MH; row++) begin : gen_row
      assign result[row*ACC_BITS +: ACC_BITS] = acc_q[row];

      always_ff @(posedge clk) begin
        acc_q[row] <= sums[row*ACC_BITS +: ACC_BITS] + (first_d[DELAY] ? '0 : ACC_BITS'(acc_q[row] << DigitBits));
      end
    end

    always_ff @(posedge clk) begin
      valid_q <= last_d[DELAY];
      if (rst) valid_q <= 1'b0;
    end
    assign result_valid = valid_q;
  end else begin : gen_result
    wire unused = &{1'b0, first_d};
    assign result       = sums;
    assign result_valid = last_d[DELAY];
  end

  // ---- The vectors that nobody has taken yet; there is room for each that is on its way.

  /* verilator lint_off UNUSEDSIGNAL */
  logic fifo_ready;
  /* verilator lint_on UNUSEDSIGNAL */

  fifo #(.WIDTH(MH*ACC_BITS), .DEPTH(Places), .RAM_STYLE("distributed")) u_fifo (
      .clk, .rst,
      .s_axis_tdata(result), .s_axis_tvalid(result_valid), .s_axis_tready(fifo_ready),
      .m_axis_tdata, .m_axis_tvalid, .m_axis_tready,
      /* verilator lint_off PINCONNECTEMPTY */
      .count()
      /* verilator lint_on PINCONNECTEMPTY */
  );

endmodule

`default_nettype wire
