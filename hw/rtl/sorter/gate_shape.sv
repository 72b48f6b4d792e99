// SPDX-License-Identifier: Apache-2.0
//
// gate_shape: is a point inside a polygon of up to CORNERS corners, or an ellipse? Bit-true model: sim/bit_true/gate_engine.py.
//
//   Edge i is {corner_y, c, -slope_y, slope_x}, 14, 29, 14 and 15 bits, slope_x at the LSB. Its sum slope_x * y - slope_y * x + c is
//   not negative where the point is on the left of it; slope_y is never negative, so that its sign is not held. A polygon: the point is left of an odd number of the edges whose ends lie
//   on both sides of y (an end as high as y counts as below). An ellipse: the sums of edges 0 and 1, shifted, are u and v;
//   inside where u^2 + v^2 < 2^26, u and v of 15 bits.
//   Latency     5 cycles from x, y, edges, ellipse and shifts to hit; a point a cycle, no handshake.
//   Reset       none: what is in flight runs out.
`default_nettype none

module gate_shape #(
    parameter int unsigned CORNERS = 16
) (
    input  wire logic                      clk,
    input  wire logic [13:0]               x,
    input  wire logic [13:0]               y,
    input  wire logic [CORNERS-1:0][71:0]  edges,
    input  wire logic                      ellipse,
    input  wire logic [2:0]                shift_u,
    input  wire logic [2:0]                shift_v,
    output logic                           hit
);
  if (CORNERS < 3 || CORNERS > 16) begin : gen_corners_error
    $error("gate_shape: CORNERS must be within 3..16");
  end

  logic [13:0]                    x1_q;
  logic [CORNERS-1:0]             above1_q, straddles2_q, straddles3_q;
  logic signed [CORNERS-1:0][28:0] sum3_q;
  logic [1:0][2:0]                shift1_q, shift2_q;
  logic [1:0][2:0]                left3_q;  // 7 - shift
  logic [4:0]                     ellipse_q;

  for (genvar i = 0; i < CORNERS; i++) begin : gen_edge
    wire signed [14:0]  slope_x  = edges[i][14:0];
    logic signed [28:0] y_part1_q, y_part2_q, x_part2_q, sum_q;
    logic signed [28:0] c1_q;
    logic signed [14:0] minus_slope_y1_q;
    // An edge of a polygon without slope_y is never crossed; a row of an ellipse may have none.
    wire                minus = i >= 2 || edges[i][28:15] != '0;
    // Each product into a register and each sum into one, as DSP slices have them.
    always_ff @(posedge clk) begin
      above1_q[i]      <= edges[i][71:58] > y;
      minus_slope_y1_q <= $signed({minus, edges[i][28:15]});
      c1_q             <= $signed(edges[i][57:29]);
      y_part1_q        <= 29'(slope_x * $signed({1'b0, y}));
      y_part2_q        <= y_part1_q + c1_q;
      x_part2_q        <= 29'(minus_slope_y1_q * $signed({1'b0, x1_q}));
      sum_q            <= y_part2_q + x_part2_q;
    end
    assign sum3_q[i] = sum_q;
  end

  // Polygon: parity of the edges that a ray to the right crosses.
  logic [CORNERS-1:0] crossed;
  logic               odd4_q, odd5_q;
  always_comb begin
    for (int unsigned i = 0; i < CORNERS; i++) begin
      crossed[i] = straddles3_q[i] && !sum3_q[i][28];
    end
  end

  // Ellipse: 15 bits of each sum, their squares, the sum of these.
  logic [1:0][14:0]         row4_q;
  logic [1:0]               far4_q;
  logic                     far5_q;
  logic [1:0][28:0]         square5_q;
  /* verilator lint_off UNUSEDSIGNAL */  // all but the topmost bits
  wire  [29:0]              squares = 30'(square5_q[0]) + 30'(square5_q[1]);
  /* verilator lint_on UNUSEDSIGNAL */
  logic signed [1:0][28:0]  row;
  always_comb begin
    for (int unsigned r = 0; r < 2; r++) row[r] = $signed(sum3_q[r]) >>> {~left3_q[r], 1'b0};
  end

  always_ff @(posedge clk) begin
    x1_q      <= x;
    straddles2_q <= above1_q ^ {above1_q[0], above1_q[CORNERS-1:1]};
    straddles3_q <= straddles2_q;
    shift1_q  <= {shift_v, shift_u};
    shift2_q  <= shift1_q;
    left3_q   <= ~shift2_q;
    ellipse_q <= {ellipse_q[3:0], ellipse};
    odd4_q    <= ^crossed;
    odd5_q    <= odd4_q;
    for (int unsigned r = 0; r < 2; r++) begin
      row4_q[r]    <= row[r][14:0];
      far4_q[r]    <= row[r][28:14] != '0 && row[r][28:14] != '1;
      square5_q[r] <= 29'($signed(row4_q[r]) * $signed(row4_q[r]));
    end
    far5_q <= |far4_q;
  end

  assign hit = ellipse_q[4] ? !far5_q && squares[29:26] == '0 : odd5_q;

endmodule

`default_nettype wire
