// SPDX-License-Identifier: Apache-2.0
//
// block_ram_e2: what RAMB18E2 and RAMB36E2 have in common, for simulation, in the modes that Yosys maps our RTL to (AMD UG573).
//
//   Contents    1,024 * LANES bytes of 8 bits and a parity bit; byte n starts as {PARITY[n], DATA[8 * n +: 8]}.
//   Width       of each port to read and to write, 0 where it does not. 9, 18, 36, 72: so many bytes, parity with each; address from bit 3
//               up is the byte, aligned, and bit n of write_ says whether byte n of these is written. 4, 2, 1: bits of one byte without its
//               parity, whose place the lower address bits are; bit 0 of write_ says whether they are written. 72 is of RAMB36E2, LANES = 4.
//   Wide        a width of more than LANES bytes takes the data pins of both ports, those of port A lower.
//   Collision   WRITE_MODE READ_FIRST: either port reads what was there before an edge of both clocks that writes. Two writes at once to a byte
//               are not looked at.
//   Latency     data with the edge.
//   Reset       none. The outputs start as 0.
//
// Another width or write mode stops the simulation at its start ($fatal).
`default_nettype none

module block_ram_e2 #(
    parameter int LANES = 2,
    parameter int READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0,
    parameter WRITE_MODE_A = "READ_FIRST", WRITE_MODE_B = "READ_FIRST",
    parameter logic [8192*LANES-1:0] DATA = '0,
    parameter logic [1024*LANES-1:0] PARITY = '0,
    localparam int AddrBits = 13 + LANES / 4 + 1
) (
    input  wire logic                clk_a, enable_a, clk_b, enable_b,
    input  wire logic [AddrBits-1:0] address_a, address_b,
    input  wire logic [2*LANES-1:0]  write_a, write_b,
    input  wire logic [8*LANES-1:0]  data_a, data_b,
    input  wire logic [LANES-1:0]    parity_a, parity_b,
    output logic      [8*LANES-1:0]  out_a, out_b,
    output logic      [LANES-1:0]    out_parity_a, out_parity_b
);
  localparam int Bytes = 1024 * LANES, Lane = 9 * LANES;
  typedef logic [2*Lane-1:0] beat_t;

  function automatic bit known(input int width);
    return width inside {0, 1, 2, 4, 9, 18, 36} || (width == 72 && LANES == 4);
  endfunction

  initial begin
    if (!known(READ_WIDTH_A) || !known(READ_WIDTH_B) || !known(WRITE_WIDTH_A) || !known(WRITE_WIDTH_B))
      $fatal(1, "%m: widths %0d, %0d, %0d, %0d", READ_WIDTH_A, READ_WIDTH_B, WRITE_WIDTH_A, WRITE_WIDTH_B);
    if (READ_WIDTH_A > Lane && READ_WIDTH_B != 0) $fatal(1, "%m: port B reads beside a wide port A");
    if (READ_WIDTH_B > Lane || WRITE_WIDTH_A > Lane) $fatal(1, "%m: port A reads wide, port B writes wide");
    if (WRITE_WIDTH_B > Lane && WRITE_WIDTH_A != 0) $fatal(1, "%m: port A writes beside a wide port B");
    /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
    if ((WRITE_WIDTH_A != 0 && WRITE_MODE_A != "READ_FIRST") || (WRITE_WIDTH_B != 0 && WRITE_MODE_B != "READ_FIRST"))
    /* verilator lint_on WIDTHEXPAND */
      $fatal(1, "%m: write modes %s, %s", WRITE_MODE_A, WRITE_MODE_B);
  end

  logic [8:0] mem [Bytes];
  initial begin
    /*verilator unroll_disable*/ for (int n = 0; n < Bytes; n++) mem[n] = {PARITY[n], DATA[8*n +: 8]};
  end

  // Pins as bytes with their parity.
  beat_t both_in;
  always_comb begin
    for (int n = 0; n < LANES; n++) begin
      both_in[9*n +: 9]        = {parity_a[n], data_a[8*n +: 8]};
      both_in[Lane + 9*n +: 9] = {parity_b[n], data_b[8*n +: 8]};
    end
  end

  function automatic int first(input logic [AddrBits-1:0] address, input int width);
    return int'(address[AddrBits-1:3]) / (width / 9) * (width / 9);
  endfunction

  // The bits of a byte that a narrow port reaches: their place.
  function automatic int place(input logic [AddrBits-1:0] address, input int width);
    return int'(address[2:0]) / width * width;
  endfunction

  function automatic beat_t seen(input logic [AddrBits-1:0] address, input int width);
    seen = '0;
    if (width >= 9) begin
      for (int n = 0; n < width / 9; n++) seen[9*n +: 9] = mem[first(address, width) + n];
    end else if (width != 0) begin
      seen[8:0] = mem[address[AddrBits-1:3]] >> place(address, width) & ((9'd1 << width) - 9'd1);
    end
  endfunction

  beat_t a_q = '0, b_q = '0;

  always_ff @(posedge clk_a) begin
    if (enable_a) begin
      a_q <= seen(address_a, READ_WIDTH_A);
      if (WRITE_WIDTH_A >= 9) begin
        for (int n = 0; n < WRITE_WIDTH_A / 9; n++)
          if (write_a[n]) mem[first(address_a, WRITE_WIDTH_A) + n] <= both_in[9*n +: 9];
      end else if (WRITE_WIDTH_A != 0) begin
        for (int bit_ = 0; bit_ < WRITE_WIDTH_A; bit_++)
          if (write_a[0]) mem[address_a[AddrBits-1:3]][place(address_a, WRITE_WIDTH_A) + bit_] <= both_in[bit_];
      end
    end
  end

  wire beat_t in_b = WRITE_WIDTH_B > Lane ? both_in : both_in >> Lane;

  always_ff @(posedge clk_b) begin
    if (enable_b) begin
      b_q <= seen(address_b, READ_WIDTH_B);
      if (WRITE_WIDTH_B >= 9) begin
        for (int n = 0; n < WRITE_WIDTH_B / 9; n++)
          if (write_b[n]) mem[first(address_b, WRITE_WIDTH_B) + n] <= in_b[9*n +: 9];
      end else if (WRITE_WIDTH_B != 0) begin
        for (int bit_ = 0; bit_ < WRITE_WIDTH_B; bit_++)
          if (write_b[0]) mem[address_b[AddrBits-1:3]][place(address_b, WRITE_WIDTH_B) + bit_] <= in_b[bit_];
      end
    end
  end

  beat_t both_out;
  assign both_out = READ_WIDTH_A > Lane ? a_q : {b_q[Lane-1:0], a_q[Lane-1:0]};

  always_comb begin
    for (int n = 0; n < LANES; n++) begin
      {out_parity_a[n], out_a[8*n +: 8]} = both_out[9*n +: 9];
      {out_parity_b[n], out_b[8*n +: 8]} = both_out[Lane + 9*n +: 9];
    end
  end

endmodule

`default_nettype wire
