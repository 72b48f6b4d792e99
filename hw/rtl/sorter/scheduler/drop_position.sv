// SPDX-License-Identifier: Apache-2.0
//
// drop_position: where in the stream of drops a cell is, in sixteenths of a drop: {drop number, phase}.
//
//   The drop in which the light of the cell fell is searched back from the newest one. phase = floor(16 * (time - begin) / period), at most
//   15; the period is that of the drop before, the last that is known whatever drop it is.
//   Doubtful    fewer than two drops known, or the cell fell before the last SEARCHED drops.
//   Handshake   `start` is a pulse with `cell_time`, while not busy; `done` is a pulse with position and doubtful, which stay.
//   Latency     14 + 4 * drops searched back, cycles; a doubtful one at most 7 + 4 * SEARCHED.
//   Reset       idle.
`default_nettype none

module drop_position
  import icsort_pkg::*;
#(
    parameter int unsigned REMEMBERED = 16,
    parameter int unsigned SEARCHED   = 12,
    localparam int unsigned NumberBits = TIME_BITS - 4,
    localparam int unsigned AddrBits   = $clog2(REMEMBERED)
) (
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic                   start,
    input  wire logic [TIME_BITS-1:0]   cell_time,
    output logic                        done,
    output logic [TIME_BITS-1:0]        position,
    output logic                        doubtful,

    input  wire logic [NumberBits-1:0]  number,
    input  wire logic [AddrBits:0]      known,
    output logic [AddrBits-1:0]         ask,
    input  wire logic [TIME_BITS-1:0]   began
);
  if (SEARCHED + 2 > REMEMBERED) begin : gen_search_error
    $error("drop_position: SEARCHED drops and the one before them must be remembered, and one more begins meanwhile");
  end

  typedef enum logic [3:0] {Idle, Ask, Wait, Take, Test, AskBefore, WaitBefore, TakeBefore, Divide} state_e;

  state_e                       state_q;
  logic [NumberBits-1:0]        drop_q;
  logic [AddrBits:0]            left_q;      // drops that may still be asked for
  logic signed [TIME_BITS-1:0]  since_q;     // begin of drop_q to the cell
  logic [TIME_BITS-1:0]         time_q, begin_q;
  logic [32:0]                  rest_q, period_q;
  logic [2:0]                   bits_q;
  logic                         far_q;

  wire [32:0]        doubled = {rest_q[31:0], 1'b0};
  wire [33:0]        less    = {1'b0, doubled} - {1'b0, period_q};
  wire [TIME_BITS-1:0] period = begin_q - began;

  assign ask = drop_q[AddrBits-1:0];

  always_ff @(posedge clk) begin
    done <= 1'b0;
    unique case (state_q)
      Idle: if (start) begin
        time_q   <= cell_time;
        drop_q   <= number;
        left_q   <= known < (AddrBits + 1)'(SEARCHED) ? known : (AddrBits + 1)'(SEARCHED);
        doubtful <= 1'b0;
        state_q  <= Ask;
      end
      Ask: begin
        // The one before must be known as well.
        if (left_q < (AddrBits + 1)'(2)) begin
          doubtful <= 1'b1;
          done     <= 1'b1;
          state_q  <= Idle;
        end else begin
          state_q <= Wait;
        end
      end
      Wait: state_q <= Take;
      Take: begin
        since_q <= $signed(time_q - began);
        begin_q <= began;
        state_q <= Test;
      end
      Test: begin
        rest_q <= since_q[32:0];
        far_q  <= |since_q[TIME_BITS-1:31];
        drop_q <= drop_q - 1'b1;
        left_q <= left_q - 1'b1;
        state_q <= since_q[TIME_BITS-1] ? Ask : AskBefore;
      end
      AskBefore: state_q <= WaitBefore;
      WaitBefore: state_q <= TakeBefore;
      TakeBefore: begin
        period_q <= |period[TIME_BITS-1:31] ? '1 : period[32:0];
        position[TIME_BITS-1:4] <= drop_q + 1'b1;
        bits_q   <= 3'd4;
        state_q  <= Divide;
      end
      Divide: begin
        // Behind a whole period the phase stays at 15.
        if (bits_q == 3'd4 && (far_q || rest_q >= period_q)) begin
          position[3:0] <= '1;
          done          <= 1'b1;
          state_q       <= Idle;
        end else begin
          position[3:0] <= {position[2:0], !less[33]};
          rest_q        <= less[33] ? doubled : less[32:0];
          bits_q        <= bits_q - 1'b1;
          if (bits_q == 3'd1) begin
            done    <= 1'b1;
            state_q <= Idle;
          end
        end
      end
      default: state_q <= Idle;
    endcase
    if (rst) begin
      state_q <= Idle;
      done    <= 1'b0;
    end
  end

  too_few_drops: cover property (@(posedge clk) disable iff (rst) state_q == Ask && left_q < (AddrBits + 1)'(2));
  searched_back: cover property (@(posedge clk) disable iff (rst) state_q == Test && since_q[TIME_BITS-1]);
  behind_a_whole_period: cover property (@(posedge clk) disable iff (rst) state_q == Divide && bits_q == 3'd4 && (far_q || rest_q >= period_q));

endmodule

`default_nettype wire
