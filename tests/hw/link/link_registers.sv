// SPDX-License-Identifier: Apache-2.0
//
// link_registers: icsort_link with the generated register block behind it and recognisable live values, for a bench.
`default_nettype none

module link_registers (
    input  wire logic clk,
    input  wire logic rst,
    input  wire logic uart_rx,
    output logic      uart_tx,
    input  wire logic [31:0] live,
    output logic      armed
);
  logic        reg_req, reg_we, reg_ack, reg_err, rd_ack, wr_ack, rd_err, wr_err;
  logic [15:0] reg_addr;
  logic [31:0] reg_wdata, reg_rdata;
  logic        good_frame;

  assign reg_ack = rd_ack || wr_ack;
  assign reg_err = (rd_ack && rd_err) || (wr_ack && wr_err);

  icsort_link #(
      .CLKS_PER_BIT(4)
  ) u_link (
      .clk,
      .rst,
      .uart_rx,
      .uart_tx,
      .reg_req,
      .reg_we,
      .reg_addr,
      .reg_wdata,
      .reg_ack,
      .reg_err,
      .reg_rdata,
      .s_axis_record_tdata (32'd0),
      .s_axis_record_tvalid(1'b0),
      .s_axis_record_tready(),
      .s_axis_record_tlast (1'b0),
      .s_axis_record_tuser (icsort_pkg::FRAME_EVENT),
      .tx_idle(),
      .bad_frame(),
      .good_frame
  );

  icsort_registers_pkg::icsort_registers__in_t  hwif_in;
  icsort_registers_pkg::icsort_registers__out_t hwif_out;

  icsort_registers u_registers (
      .clk,
      .rst,
      .s_cpuif_req         (reg_req),
      .s_cpuif_req_is_wr   (reg_we),
      .s_cpuif_addr        (reg_addr),
      .s_cpuif_wr_data     (reg_wdata),
      .s_cpuif_wr_biten    ('1),
      .s_cpuif_req_stall_wr(),
      .s_cpuif_req_stall_rd(),
      .s_cpuif_rd_ack      (rd_ack),
      .s_cpuif_rd_err      (rd_err),
      .s_cpuif_rd_data     (reg_rdata),
      .s_cpuif_wr_ack      (wr_ack),
      .s_cpuif_wr_err      (wr_err),
      .hwif_in,
      .hwif_out
  );

  logic [1:0]  disarmed_by;
  logic        testing, schedule_valid;
  logic [31:0] schedule_serial;

  arming u_arming (
      .clk,
      .rst,
      .arm        (hwif_out.ARM.strobe.value),
      .arm_test   (hwif_out.ARM_TEST.strobe.value),
      .disarm     (hwif_out.DISARM.strobe.value),
      .gate_valid (hwif_out.STATUS.gate_valid.value),
      .schedule_valid,
      .faulty     (1'b0),
      .alive      (good_frame),
      .timeout    (hwif_out.HEARTBEAT.value.value),
      .armed,
      .testing,
      .disarmed_by,
      .silenced   ()
  );

  schedule_settings u_settings (
      .clk,
      .rst,
      .view           (hwif_out.SCHEDULE_VIEW.value.value),
      .reg_req        (hwif_out.SCHEDULE.req),
      .reg_we         (hwif_out.SCHEDULE.req_is_wr),
      .reg_index      (hwif_out.SCHEDULE.addr[7:2]),
      .reg_wdata      (hwif_out.SCHEDULE.wr_data),
      .reg_wr_ack     (hwif_in.SCHEDULE.wr_ack),
      .reg_rd_ack     (hwif_in.SCHEDULE.rd_ack),
      .reg_rdata      (hwif_in.SCHEDULE.rd_data),
      .commit         (hwif_out.SCHEDULE_COMMIT.strobe.value),
      .frozen         (armed || testing),
      .valid          (schedule_valid),
      .restart        (),
      .serial         (schedule_serial),
      .index          (6'd0),
      .word           (),
      .mode           (),
      .before_cycles  (),
      .after_cycles   (),
      .drop_increment (),
      .drop_timeout   ()
  );

  always_comb begin
    hwif_in.BUILD_ID_LO.value.next  = 32'h89ABCDEF;
    hwif_in.BUILD_ID_HI.value.next  = 32'h01234567;
    hwif_in.MODEL_ID_LO.value.next  = 32'h76543210;
    hwif_in.MODEL_ID_HI.value.next  = 32'hFEDCBA98;
    hwif_in.GEOMETRY.classes.next   = 8'd7;
    hwif_in.GEOMETRY.channels.next  = 8'd3;
    hwif_in.GEOMETRY.height.next    = 8'd40;
    hwif_in.GEOMETRY.width.next     = 8'd41;
    hwif_in.CLOCK_HZ.value.next     = 32'd100_000_000;
    hwif_in.STATUS.armed.next       = armed;
    hwif_in.STATUS.testing.next     = testing;
    hwif_in.STATUS.idle.next        = 1'b1;
    hwif_in.STATUS.schedule_valid.next = schedule_valid;
    hwif_in.STATUS.interlock.next   = 1'b1;
    hwif_in.SCHEDULE_SERIAL.value.next = schedule_serial;
    hwif_in.FAULTS                  = '{default: '0};
    hwif_in.STATUS.disarmed_by.next = disarmed_by;
    hwif_in.TIMESTAMP_LO.value.next = live;
    hwif_in.TIMESTAMP_HI.value.next = live + 32'd1;
    hwif_in.STATUS.gate_valid.hwset     = hwif_out.GATE_COMMIT.strobe.value;
    hwif_in.GATE_SERIAL.value.incr      = hwif_out.GATE_COMMIT.strobe.value;
    hwif_in.GATE_DATA.value.next        = '0;
    hwif_in.GATE_DATA.value.we          = 1'b0;
    hwif_in.GATE_STATE.committing.next  = 1'b0;
    hwif_in.GATE_STATE.reading.next     = 1'b0;
    hwif_in.GATE_SIZE.tests.next        = 8'd32;
    hwif_in.GATE_SIZE.gates.next        = 8'd16;
    hwif_in.GATE_SIZE.scales.next       = 8'd16;
    hwif_in.GATE_SIZE.corners.next      = 8'd16;
    hwif_in.GATE_VALUES.features.next   = 8'd33;
    hwif_in.ACCEPTED.value.next     = live + 32'd2;
    hwif_in.MISSED.value.next       = live + 32'd3;
    hwif_in.SORTED.value.next       = live + 32'd4;
    hwif_in.REJECTED.value.next     = live + 32'd5;
    hwif_in.DISARMED.value.next     = live + 32'd6;
    hwif_in.LATE.value.next         = live + 32'd7;
    hwif_in.HARDWARE.value.next     = live + 32'd8;
    hwif_in.CONFLICT.value.next     = live + 32'd9;
    hwif_in.RECORDS_LOST.value.next = live + 32'd10;
    hwif_in.LINE_ERRORS.value.next  = live + 32'd11;
    hwif_in.DEBRIS.value.next       = live + 32'd12;
    hwif_in.LINK_BAD_FRAMES.value.next  = live + 32'd13;
    hwif_in.LINK_GOOD_FRAMES.value.next = live + 32'd14;
    hwif_in.HEARTBEATS_LOST.value.next  = live + 32'd15;
    hwif_in.LINE_GAPS.value.next        = live + 32'd16;
    hwif_in.LINES_STOPPED.value.next    = live + 32'd17;
    hwif_in.DEAD_TIME.value.next        = live + 32'd18;
    hwif_in.WINDOWS_LOST.value.next     = live + 32'd19;
    hwif_in.FRONT_READ.value.next       = 32'd5;
    hwif_in.COINCIDENCE.value.next     = live + 32'd20;
    hwif_in.AMBIGUOUS.value.next       = live + 32'd21;
    hwif_in.OVERLONG.value.next        = live + 32'd22;
    hwif_in.STALLED.value.next         = live + 32'd23;
    hwif_in.FAULT.value.next           = live + 32'd24;
    hwif_in.LIMITED.value.next         = live + 32'd25;
    hwif_in.SKIPPED.value.next         = live + 32'd26;
    hwif_in.COMPLETE.value.next        = live + 32'd27;
    hwif_in.TEST_PULSES.value.next     = live + 32'd28;
    hwif_in.SORTED_0.value.next        = live + 32'd29;
    hwif_in.SORTED_1.value.next        = live + 32'd30;
    hwif_in.SORTED_2.value.next        = live + 32'd31;
    hwif_in.SORTED_3.value.next        = live + 32'd32;
    hwif_in.SORTED_4.value.next        = live + 32'd33;
    hwif_in.SORTED_5.value.next        = live + 32'd34;
  end

endmodule

`default_nettype wire
