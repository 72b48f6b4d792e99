// SPDX-License-Identifier: Apache-2.0
//
// schedule_settings: what the scheduler goes by: the set in force and its shadow, in one memory.
//
//   Host        reg_req is a pulse with the word's index, reg_we and reg_wdata; reg_wr_ack or reg_rd_ack answers 1 or 4 cycles later, during a
//               commit behind it. It writes and reads the shadow; with `view` it reads the set in force instead, and writes do nothing.
//   commit      puts the shadow in force: copies it, in 44 cycles, in which nothing is valid. While `frozen` (the sorter is armed, or a sort
//               waits) it does nothing, so that nobody ever goes by a part of a set. serial counts commits.
//   Words       6 a direction: DELAY, {DEAD, WIDTH}, EVERY, TARGET, COST, BURST; from 36: MODE, BEFORE, AFTER, INCREMENT, TIMEOUT (docs/sorter.md).
//   word        of a direction in the set in force, 3 cycles behind `index` = {direction, word}. Not during a commit.
//   mode ..     the words from 36, in registers. valid: they are those of the set in force, and there is one.
//   restart     a pulse with each commit, when it is done.
//   Reset       no set in force: not valid.
`default_nettype none

module schedule_settings (
    input  wire logic         clk,
    input  wire logic         rst,

    input  wire logic         view,
    input  wire logic         reg_req,
    input  wire logic         reg_we,
    input  wire logic [5:0]   reg_index,
    input  wire logic [31:0]  reg_wdata,
    output logic              reg_wr_ack,
    output logic              reg_rd_ack,
    output logic [31:0]       reg_rdata,
    input  wire logic         commit,
    input  wire logic         frozen,
    output logic              valid,
    output logic              restart,
    output logic [31:0]       serial,

    input  wire logic [5:0]   index,
    output logic [31:0]       word,
    output logic [31:0]       mode,
    output logic [31:0]       before_cycles,
    output logic [31:0]       after_cycles,
    output logic [31:0]       drop_increment,
    output logic [31:0]       drop_timeout
);
  localparam logic [5:0] Common = 6'd36, Words = 6'd41, Latency = 6'd3;
  localparam logic Shadow = 1'b0, InForce = 1'b1;

  (* ram_style = "block" *)
  logic [31:0] mem [128];
  logic        copying_q;
  logic [5:0]  step_q;
  logic        asked_q;          // a request waits for the end of the commit
  logic [2:0]  reading_q;
  logic [6:0]  host_address_q, address_q;
  logic [31:0] host_data_q, data_q;

  wire take = commit && !frozen && !copying_q;
  wire work = (reg_req || asked_q) && !copying_q && !take;
  wire [5:0] copied = step_q - Latency;
  wire copy = copying_q && step_q >= Latency;
  wire [6:0] read_at  = copying_q ? {Shadow, step_q}
                                  : {InForce, {1'b0, index[5:3], 2'd0} + {2'd0, index[5:3], 1'b0} + 6'(index[2:0])};
  wire [6:0] write_at = copy ? {InForce, copied} : {Shadow, reg_index};

  always_ff @(posedge clk) begin
    if (copy || (work && reg_we && !view)) mem[write_at] <= copy ? word : reg_wdata;
    host_address_q <= {view ? InForce : Shadow, reg_index};
    host_data_q    <= mem[host_address_q];
    reg_rdata      <= host_data_q;

    address_q <= read_at;
    data_q    <= mem[address_q];
    word      <= data_q;
  end

  always_ff @(posedge clk) begin
    asked_q                 <= (reg_req || asked_q) && !work;
    reg_wr_ack              <= work && reg_we;
    {reg_rd_ack, reading_q} <= {reading_q, work && !reg_we};
    restart                 <= 1'b0;
    if (take) begin
      serial    <= serial + 1'b1;
      valid     <= 1'b0;
      copying_q <= 1'b1;
      step_q    <= '0;
    end
    if (copying_q) begin
      step_q <= step_q + 1'b1;
      if (copy && copied >= Common) begin
        {drop_timeout, drop_increment, after_cycles, before_cycles, mode} <=
            {word, drop_timeout, drop_increment, after_cycles, before_cycles};
      end
      if (copied == Words - 6'd1) begin
        copying_q <= 1'b0;
        valid     <= 1'b1;
        restart   <= 1'b1;
      end
    end
    if (rst) begin
      copying_q  <= 1'b0;
      asked_q    <= 1'b0;
      reading_q  <= '0;
      reg_wr_ack <= 1'b0;
      reg_rd_ack <= 1'b0;
      valid      <= 1'b0;
      restart    <= 1'b0;
      serial     <= '0;
      mode       <= '0;
    end
  end

  // What is in force changes by a commit alone, and by none while it is frozen.
  assert property (@(posedge clk) disable iff (rst) !($past(frozen) && !$past(copying_q)) || $past(rst) || !copying_q);
  assert property (@(posedge clk) disable iff (rst) !copying_q || !valid);

endmodule

`default_nettype wire
