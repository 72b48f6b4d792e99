// SPDX-License-Identifier: Apache-2.0
//
// width_converter: joins narrow beats to wide ones, splits wide beats into narrow ones, or passes through.
//
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers; s_axis_tready depends on m_axis_tready
//               in the same cycle. With equal widths the two streams are the same wires.
//   Order       the least significant part is the first narrow beat.
//   Latency     1 cycle from the input beat that completes an output beat; 0 with equal widths.
//   Interval    the narrow side moves one beat a cycle, without a bubble between wide beats.
//   Reset       forgets what is held, also a wide beat joined in part.
//   Overflow    cannot happen: s_axis_tready is low while there is no room.
`default_nettype none

module width_converter #(
    parameter int unsigned IN_WIDTH  = 8,
    parameter int unsigned OUT_WIDTH = 32
) (
    input  wire logic                  clk,
    input  wire logic                  rst,

    input  wire logic [IN_WIDTH-1:0]   s_axis_tdata,
    input  wire logic                  s_axis_tvalid,
    output logic                       s_axis_tready,

    output logic [OUT_WIDTH-1:0]       m_axis_tdata,
    output logic                       m_axis_tvalid,
    input  wire logic                  m_axis_tready
);
  if (IN_WIDTH < 1 || OUT_WIDTH < 1) begin : gen_width_error
    $error("width_converter: IN_WIDTH and OUT_WIDTH must be at least 1");
  end else if (IN_WIDTH % OUT_WIDTH != 0 && OUT_WIDTH % IN_WIDTH != 0) begin : gen_ratio_error
    $error("width_converter: one of IN_WIDTH and OUT_WIDTH must be a multiple of the other");
  end else if (OUT_WIDTH > IN_WIDTH) begin : gen_join
    localparam int unsigned Ratio = OUT_WIDTH / IN_WIDTH;
    localparam int unsigned CountBits = $clog2(Ratio);

    logic [CountBits-1:0] count_q;

    assign s_axis_tready = m_axis_tready || !m_axis_tvalid;

    always_ff @(posedge clk) begin
      if (s_axis_tready) begin
        m_axis_tvalid <= 1'b0;
        if (s_axis_tvalid) begin
          m_axis_tdata  <= {s_axis_tdata, m_axis_tdata[OUT_WIDTH-1:IN_WIDTH]};
          m_axis_tvalid <= count_q == CountBits'(Ratio - 1);
          count_q       <= count_q == CountBits'(Ratio - 1) ? '0 : count_q + 1'b1;
        end
      end
      if (rst) begin
        m_axis_tvalid <= 1'b0;
        count_q       <= '0;
      end
    end
  end else if (OUT_WIDTH < IN_WIDTH) begin : gen_split
    localparam int unsigned Ratio = IN_WIDTH / OUT_WIDTH;
    localparam int unsigned CountBits = $clog2(Ratio);

    logic [IN_WIDTH-1:0]  beat_q;
    logic [CountBits-1:0] count_q;  // narrow beats left behind the one that is offered

    assign m_axis_tdata  = beat_q[OUT_WIDTH-1:0];
    assign s_axis_tready = !m_axis_tvalid || (m_axis_tready && count_q == '0);

    always_ff @(posedge clk) begin
      if (m_axis_tvalid && m_axis_tready) begin
        beat_q        <= beat_q >> OUT_WIDTH;
        count_q       <= count_q - 1'b1;
        m_axis_tvalid <= count_q != '0;
      end
      if (s_axis_tvalid && s_axis_tready) begin
        beat_q        <= s_axis_tdata;
        count_q       <= CountBits'(Ratio - 1);
        m_axis_tvalid <= 1'b1;
      end
      if (rst) m_axis_tvalid <= 1'b0;
    end
  end else begin : gen_wires
    assign s_axis_tready = m_axis_tready;
    assign m_axis_tdata  = s_axis_tdata;
    assign m_axis_tvalid = s_axis_tvalid;

    wire unused = &{1'b0, clk, rst};
  end

endmodule

`default_nettype wire
