// SPDX-License-Identifier: Apache-2.0
//
// uart_tx: sends bytes on an asynchronous serial line, 8 data bits, no parity, 1 stop bit, low bit first.
//
//   Handshake   AXI4-Stream; s_axis_tready comes from a register and is low while a byte is sent.
//   Latency     1 cycle from an accepted byte to its start bit.
//   Interval    10 * CLKS_PER_BIT + 1 cycles a byte.
//   busy        high from the cycle after acceptance to the end of the stop bit.
//   Reset       the line goes high; a byte being sent is cut short.
`default_nettype none

module uart_tx #(
    parameter int unsigned CLKS_PER_BIT = 100
) (
    input  wire logic       clk,
    input  wire logic       rst,

    input  wire logic [7:0] s_axis_tdata,
    input  wire logic       s_axis_tvalid,
    output logic            s_axis_tready,

    output logic            txd,
    output logic            busy
);
  if (CLKS_PER_BIT < 4) begin : gen_clks_per_bit_error
    $error("uart_tx: CLKS_PER_BIT must be at least 4, as in uart_rx");
  end

  localparam int unsigned CountBits = $clog2(CLKS_PER_BIT);

  logic [8:0]           shift_q;  // what follows the bit on the line: data, then the stop bit
  logic [3:0]           bits_q;   // bits left after the one on the line
  logic [CountBits-1:0] count_q;
  logic                 busy_q;

  assign s_axis_tready = !busy_q;
  assign busy          = busy_q;

  always_ff @(posedge clk) begin
    if (!busy_q) begin
      if (s_axis_tvalid) begin
        txd     <= 1'b0;
        shift_q <= {1'b1, s_axis_tdata};
        bits_q  <= 4'd9;
        count_q <= CountBits'(CLKS_PER_BIT - 1);
        busy_q  <= 1'b1;
      end
    end else if (count_q != '0) begin
      count_q <= count_q - 1'b1;
    end else if (bits_q != '0) begin
      txd     <= shift_q[0];
      shift_q <= {1'b1, shift_q[8:1]};
      bits_q  <= bits_q - 1'b1;
      count_q <= CountBits'(CLKS_PER_BIT - 1);
    end else begin
      busy_q <= 1'b0;
    end
    if (rst) begin
      txd    <= 1'b1;
      busy_q <= 1'b0;
    end
  end

endmodule

`default_nettype wire
