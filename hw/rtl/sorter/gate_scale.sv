// SPDX-License-Identifier: Apache-2.0
//
// gate_scale: a value to its coordinate on a piecewise linear scale. Bit-true model: sim.bit_true.gate_engine.coordinate.
//
//   The octave of the value's magnitude and the bits behind its leading one name one of 256 pieces of the scale; the next 17
//   bits are the place in it: coordinate = base + (fraction * rise >> 17), 14 bits.
//   Input       scale, mantissa, octaves, start and bank of the axis; in the cycle behind, sign and magnitude (v, or ~v where
//               it is negative).
//   Latency     7 cycles from sign and magnitude to coordinate; a value a cycle, no handshake.
//   Memory      2 banks x SCALES x 256 pieces of {rise, base}; the host writes one word a cycle. While `host` is high, the
//               read port is the host's: host_word is the word of host_addr 2 cycles later.
//   Reset       none: what is in flight runs out.
`default_nettype none

module gate_scale #(
    parameter int unsigned SCALES = 16,
    localparam int unsigned ScaleBits = $clog2(SCALES),
    localparam int unsigned AddressBits = 1 + ScaleBits + 8
) (
    input  wire logic                   clk,

    input  wire logic                   sign,
    input  wire logic [30:0]            magnitude,
    input  wire logic [ScaleBits-1:0]   scale,
    input  wire logic [2:0]             mantissa,
    input  wire logic [4:0]             octaves,
    input  wire logic [11:0]            start,
    input  wire logic                   bank,
    output logic [13:0]                 coordinate,

    input  wire logic                   we,
    input  wire logic [AddressBits-1:0] waddr,
    input  wire logic [27:0]            wdata,
    input  wire logic                   host,
    input  wire logic [AddressBits-1:0] host_addr,
    output logic [27:0]                 host_word
);

  // Stage 0: the axis, and a one in every place from the last leading one on that makes an octave of its own.
  logic                 bank0_q;
  logic [4:0]           octaves0_q;
  logic [31:0]          low0_q;
  logic [ScaleBits-1:0] scale0_q;
  logic [2:0]           mantissa0_q;
  logic [11:0]          start0_q;

  // Leading zeros of 31 bits, at most `octaves`, in two steps: which group of four, and behind stage 1 which bit of it.
  logic [7:0]           group_used;
  logic [2:0]           groups;
  wire  [31:0]          whole  = {magnitude, 1'b1};
  wire  [31:0]          padded = whole | low0_q;
  always_comb begin
    for (int unsigned g = 0; g < 8; g++) group_used[g] = |whole[31-4*g-:4] || low0_q[28-4*g];
    unique casez (group_used)
      8'b???????1: groups = 3'd0;
      8'b??????10: groups = 3'd1;
      8'b?????100: groups = 3'd2;
      8'b????1000: groups = 3'd3;
      8'b???10000: groups = 3'd4;
      8'b??100000: groups = 3'd5;
      8'b?1000000: groups = 3'd6;
      default:     groups = 3'd7;
    endcase
  end

  // Stage 1: shift within the octaves of the axis.
  logic                 sign1_q, leading1_q, bank1_q;
  logic [4:0]           octaves1_q;
  logic [2:0]           groups1_q;
  logic [3:0]           chosen1_q;
  logic [1:0]           bits1;
  logic [30:0]          magnitude1_q;
  logic [ScaleBits-1:0] scale1_q;
  logic [2:0]           mantissa1_q;
  logic [11:0]          start1_q;
  // Stage 2: normalised magnitude, exponent.
  logic                 sign2_q, bank2_q;
  logic [29:0]          rest2_q;
  logic [4:0]           exponent2_q;
  logic [ScaleBits-1:0] scale2_q;
  logic [2:0]           dropped2_q;
  logic [11:0]          before2_q;  // -1 - start
  // Stage 3: piece and fraction.
  logic [16:0]          fraction3_q, fraction4_q, fraction5_q;
  logic                 bank3_q;
  logic [ScaleBits-1:0] scale3_q;
  logic [12:0]          from_start3_q;
  // Stage 4, 5: the memory's; stage 6: product; then the sum.
  logic [27:0]          word;
  logic [13:0]          rise6_q;
  logic [13:0]          base6_q;

  always_comb begin
    unique casez (chosen1_q)
      4'b1???: bits1 = 2'd0;
      4'b01??: bits1 = 2'd1;
      4'b001?: bits1 = 2'd2;
      default: bits1 = 2'd3;
    endcase
  end
  wire [4:0]  shift1   = {groups1_q, bits1};
  wire [29:0] normalised = 30'(magnitude1_q << shift1);  // behind the leading bit
  wire [11:0] code       = 12'({exponent2_q, rest2_q[29:24]} >> dropped2_q);
  wire [11:0] signed_code = code ^ {12{sign2_q}};
  // Before the first piece is in it, behind the last one too.
  wire [7:0]  piece      = from_start3_q[12] ? 8'd0 : |from_start3_q[11:8] ? 8'd255 : from_start3_q[7:0];
  wire [16:0] behind     = 17'((rest2_q >> 7) >> dropped2_q);

  always_ff @(posedge clk) begin
    bank0_q      <= bank;
    octaves0_q   <= octaves;
    for (int unsigned i = 0; i < 32; i++) low0_q[i] <= i <= 31 - 32'(octaves);
    scale0_q     <= scale;
    mantissa0_q  <= mantissa;
    start0_q     <= start;

    sign1_q      <= sign;
    bank1_q      <= bank0_q;
    magnitude1_q <= magnitude;
    groups1_q    <= groups;
    chosen1_q    <= padded[31-4*groups-:4];
    leading1_q   <= |(magnitude & {1'b1, ~low0_q[31:2]});
    octaves1_q   <= octaves0_q;
    scale1_q     <= scale0_q;
    mantissa1_q  <= mantissa0_q;
    start1_q     <= start0_q;

    sign2_q      <= sign1_q;
    bank2_q      <= bank1_q;
    rest2_q      <= normalised;
    exponent2_q  <= octaves1_q - shift1 + 5'(leading1_q);
    scale2_q     <= scale1_q;
    dropped2_q   <= 3'd6 - mantissa1_q;
    before2_q    <= ~start1_q;

    fraction3_q  <= behind ^ {17{sign2_q}};
    bank3_q      <= bank2_q;
    scale3_q     <= scale2_q;
    from_start3_q <= 13'(({signed_code[11], signed_code, 1'b1} + {before2_q[11], before2_q, 1'b1}) >> 1);  // and 1, as its carry
    fraction4_q  <= fraction3_q;
    fraction5_q  <= fraction4_q;

    rise6_q      <= 14'((fraction5_q * 31'(word[27:14])) >> 17);
    base6_q      <= word[13:0];
    coordinate   <= base6_q + rise6_q;
  end

  gate_memory #(
      .WIDTH (28),
      .DEPTH (2 ** AddressBits)
  ) pieces (
      .clk,
      .we,
      .waddr,
      .wdata,
      .re    (1'b1),
      .raddr (host ? host_addr : {bank3_q, scale3_q, piece}),
      .q     (word)
  );

  assign host_word = word;

endmodule

`default_nettype wire
