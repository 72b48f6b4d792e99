// SPDX-License-Identifier: Apache-2.0
//
// uart_rx: receives bytes from an asynchronous serial line, 8 data bits, no parity, 1 stop bit, low bit first.
//
//   Line        idle high; CLKS_PER_BIT cycles a bit; two flip-flops synchronize it. A start bit that is not low any more in
//               its middle is a glitch and is ignored.
//   Output      valid is high for one cycle with data and error; there is no ready: a byte comes every 10 bits at most.
//               error says that the stop bit was low: the byte is not to be trusted. After it, reception waits for a
//               high line.
//   Latency     2 to 3 cycles after the middle of the stop bit (synchronizer, output register).
//   Tolerance   a sender up to 4 % off at CLKS_PER_BIT >= 16, 2 % at 4.
//   Reset       drops the byte being received.
`default_nettype none

module uart_rx #(
    parameter int unsigned CLKS_PER_BIT = 100
) (
    input  wire logic  clk,
    input  wire logic  rst,

    input  wire logic  rxd,

    output logic [7:0] data,
    output logic       valid,
    output logic       error
);
  if (CLKS_PER_BIT < 4) begin : gen_clks_per_bit_error
    $error("uart_rx: CLKS_PER_BIT must be at least 4, or the middle of a bit cannot be found");
  end

  localparam int unsigned CountBits = $clog2(CLKS_PER_BIT);

  typedef enum logic [2:0] {Idle, Start, Data, Stop, Break} state_e;

  state_e               state_q;
  (* async_reg = "true" *)
  logic [1:0]           sync_q;
  logic [CountBits-1:0] count_q;
  logic [2:0]           bit_q;

  wire rx       = sync_q[1];
  wire sample   = count_q == '0;

  always_ff @(posedge clk) begin
    sync_q  <= {sync_q[0], rxd};
    valid   <= 1'b0;
    count_q <= sample ? CountBits'(CLKS_PER_BIT - 1) : count_q - 1'b1;
    unique case (state_q)
      Idle: begin
        count_q <= CountBits'(CLKS_PER_BIT / 2 - 1);
        if (!rx) state_q <= Start;
      end
      Start: if (sample) state_q <= rx ? Idle : Data;
      Data: if (sample) begin
        data  <= {rx, data[7:1]};
        bit_q <= bit_q + 1'b1;
        if (bit_q == 3'd7) state_q <= Stop;
      end
      Stop: if (sample) begin
        valid   <= 1'b1;
        error   <= !rx;
        state_q <= rx ? Idle : Break;
      end
      Break: if (rx) state_q <= Idle;
      default: state_q <= Idle;
    endcase
    if (rst) begin
      state_q <= Idle;
      sync_q  <= '1;
      bit_q   <= '0;
      valid   <= 1'b0;
      error   <= 1'b0;
    end
  end

endmodule

`default_nettype wire
