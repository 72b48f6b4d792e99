// SPDX-License-Identifier: Apache-2.0
//
// max_pool: the largest of WINDOW elements, for each channel (FINN: Pool with function MaxPool).
//
//   Input       one window a beat, as sliding_window sends it: element w of channel c at bit (w*CHANNELS + c) * BITS.
//   Output      one pixel a beat, channel 0 at the LSB.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers; s_axis_tready is
//               m_axis_tready || !m_axis_tvalid in the same cycle and moves the whole pipeline.
//   Latency     max(1, ceil(log2(WINDOW))) cycles: a binary tree of maxima, a register behind each level.
//   Interval    one window a cycle.
//   Reset       empties the pipeline.
//   Overflow    cannot happen: the pipeline stands while its last beat waits.
`default_nettype none

module max_pool #(
    parameter int unsigned CHANNELS = 1,
    parameter int unsigned BITS     = 8,
    parameter int unsigned SIGNED   = 0,
    parameter int unsigned WINDOW   = 4,
    localparam int unsigned PixelBits = CHANNELS * BITS
) (
    input  wire logic                         clk,
    input  wire logic                         rst,

    input  wire logic [WINDOW*PixelBits-1:0]  s_axis_tdata,
    input  wire logic                         s_axis_tvalid,
    output logic                              s_axis_tready,

    output logic [PixelBits-1:0]              m_axis_tdata,
    output logic                              m_axis_tvalid,
    input  wire logic                         m_axis_tready
);
  if (CHANNELS < 1 || BITS < 1 || WINDOW < 1) begin : gen_size_error
    $error("max_pool: CHANNELS, BITS and WINDOW must be at least 1");
  end
  if (SIGNED > 1) begin : gen_signed_error
    $error("max_pool: SIGNED must be 0 or 1");
  end

  localparam int unsigned Levels = WINDOW > 1 ? $clog2(WINDOW) : 1;

  logic [Levels-1:0] valid_q;

  assign s_axis_tready = m_axis_tready || !m_axis_tvalid;
  assign m_axis_tvalid = valid_q[Levels-1];

  always_ff @(posedge clk) begin
    if (s_axis_tready) valid_q <= Levels'({valid_q, s_axis_tvalid});
    if (rst) valid_q <= '0;
  end

  for (genvar level = 0; level <= Levels; level++) begin : gen_level
    // ceil(WINDOW / 2^level) pixels are left behind this level; an odd one is handed on.
    localparam int unsigned Count = (WINDOW + (1 << level) - 1) >> level;
    logic [Count-1:0][CHANNELS-1:0][BITS-1:0] node;

    if (level == 0) begin : gen_input
      assign node = s_axis_tdata;
    end else begin : gen_maximum
      localparam int unsigned Below = (WINDOW + (1 << (level - 1)) - 1) >> (level - 1);
      wire in_valid = level == 1 ? s_axis_tvalid : valid_q[level > 1 ? level-2 : 0];

      always_ff @(posedge clk) begin
        if (s_axis_tready && in_valid) begin
          for (int unsigned i = 0; i < Count; i++) begin
            for (int unsigned c = 0; c < CHANNELS; c++) begin
              if (2 * i + 1 == Below) node[i][c] <= gen_level[level-1].node[2*i][c];
              else node[i][c] <= larger(gen_level[level-1].node[2*i][c], gen_level[level-1].node[2*i+1][c]);
            end
          end
        end
      end
    end
  end

  function automatic logic [BITS-1:0] larger(input logic [BITS-1:0] a, input logic [BITS-1:0] b);
    if (SIGNED != 0) return $signed(a) > $signed(b) ? a : b;
    return a > b ? a : b;
  endfunction

  assign m_axis_tdata = gen_level[Levels].node;

endmodule

`default_nettype wire
