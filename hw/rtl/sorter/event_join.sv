// SPDX-License-Identifier: Apache-2.0
//
// event_join: puts the parts of an event together by their tags: that it began, how it ended, and what the network and the gates say.
//
//   event, ended, result   each in the order of the events, valid with a tag; take_* takes it.
//   joined      an event that began, with its end and its result: decided when `take` is high. fault: one of the two is not its own, or
//               failed; then its data are those of another event and nothing is to be believed but the event's own time and tag.
//   Rules       A tag is behind another where the difference, modulo 2^TAG_BITS, is negative. An end or a result behind the event is
//               nobody's and is dropped. One ahead of it stays for its own event, and this one is decided without: fault. So each event
//               that began is decided once, in order, as long as less than 2^(TAG_BITS - 1) parts are missing in a row.
//   mismatch    a cycle for each part that was dropped or is missing.
//   Latency     0 cycles.
`default_nettype none

module event_join
  import icsort_pkg::*;
(
    input  wire logic                 event_valid,
    input  wire logic [TAG_BITS-1:0]  event_tag,
    output logic                      take_event,

    input  wire logic                 ended_valid,
    input  wire logic [TAG_BITS-1:0]  ended_tag,
    output logic                      take_ended,

    input  wire logic                 result_valid,
    input  wire logic [TAG_BITS-1:0]  result_tag,
    input  wire logic                 result_failed,
    output logic                      take_result,

    output logic                      joined,
    input  wire logic                 take,
    output logic                      fault,
    output logic                      mismatch
);
  wire [TAG_BITS-1:0] ended_ahead  = ended_tag - event_tag;
  wire [TAG_BITS-1:0] result_ahead = result_tag - event_tag;

  wire all         = event_valid && ended_valid && result_valid;
  wire stale_ended = ended_ahead[TAG_BITS-1], stale_result = result_ahead[TAG_BITS-1];
  wire own_ended   = ended_ahead == '0, own_result = result_ahead == '0;

  assign joined      = all && !stale_ended && !stale_result;
  assign fault       = !own_ended || !own_result || result_failed;
  assign take_event  = joined && take;
  assign take_ended  = all && (stale_ended || (own_ended && take_event));
  assign take_result = all && (stale_result || (own_result && take_event));
  assign mismatch    = all && (stale_ended || stale_result || (take_event && !(own_ended && own_result)));

endmodule

`default_nettype wire
