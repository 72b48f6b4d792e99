// SPDX-License-Identifier: Apache-2.0
//
// The verilated network alone: images in, logits out, and what every FIFO saw. Python starts it and reads what it wrote.
//
// The first run is steady: pixels at the given pace, the output always ready. Further runs send pixels as fast as they are
// taken, and stop the input and the output at random, each by its own seed. The model is reset before each run. A run in
// which nothing moves although pixels are offered and logits are taken ends as a deadlock, and no further run begins.
//
//   --images FILE       uint8, beats of the input stream one after the other, images back to back
//   --beat-bytes N      bytes of a beat
//   --line-beats N      beats of a line
//   --image-lines N     lines of an image
//   --logit-bytes N     bytes of a beat of the output stream
//   --pace N            steady run: cycles from one beat to the next
//   --line-gap N        steady run: further cycles to the first beat of the next line
//   --image-gap N       steady run: further cycles to the first beat of the next image
//   --stall-runs N      number of runs with random stalls
//   --seed N            of the first one; the next has N + 1
//   --patience N        cycles without any movement that make a deadlock
//   --logits FILE       output beats of all runs, image by image
//   --beats FILE        steady run up to the first logits: uint32 cycles in which each FIFO took a beat, FIFO by FIFO
//   --summary FILE      JSON: what the runs were; written at the end
//
// Standard output has a line for each image: "run image cycle", cycles counted over all runs.
#include <sys/prctl.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "Vicsort_net.h"
#include "harness.h"
#include "verilated.h"
#include "verilated_sym_props.h"
#include "verilated_syms.h"

namespace {

using harness::fail;
using harness::Output;

// One FIFO of the network, through the variables that net.vlt makes public, and its counts in this run.
struct Fifo {
  std::string name;
  uint32_t width, depth;
  const void* count;
  int count_bytes;
  const CData *in_valid, *out_ready;
  // Beats taken; cycles in which a beat stood before the full FIFO; cycles in which one inside was not taken.
  uint64_t beats = 0, stalled = 0, waiting = 0;
  uint32_t peak = 0;
  std::vector<uint32_t> log;

  uint32_t held() const {
    if (count_bytes == 1) return *static_cast<const CData*>(count);
    if (count_bytes == 2) return *static_cast<const SData*>(count);
    return *static_cast<const IData*>(count);
  }

  // Before the clock edge. Returns whether a beat moves.
  bool sample(uint32_t cycle, bool logging) {
    const uint32_t now = held();
    const bool full = now == depth, offered = *in_valid & 1;
    peak = std::max(peak, now);
    stalled += full && offered;
    const bool push = offered && !full, pop = now != 0 && (*out_ready & 1);
    waiting += now != 0 && !pop;
    beats += push;
    if (push && logging) log.push_back(cycle);
    return push || pop;
  }
  void clear() { beats = stalled = waiting = peak = 0; }
};

std::vector<Fifo> find_fifos(VerilatedContext& context, const std::string& top) {
  std::vector<Fifo> fifos;
  for (const auto& [name, scope] : *context.scopeNameMap()) {
    const VerilatedVar* count = scope->varFind("count_q");
    const VerilatedVar* depth = scope->varFind("DEPTH");
    if (count == nullptr || depth == nullptr) continue;
    const auto value = [&](const char* key) { return *static_cast<const IData*>(scope->varFind(key)->datap()); };
    const auto bit = [&](const char* key) { return static_cast<const CData*>(scope->varFind(key)->datap()); };
    const int bits = count->entBits();
    fifos.push_back({std::string(name).substr(top.size()), value("WIDTH"), value("DEPTH"), count->datap(),
                     bits <= 8 ? 1 : bits <= 16 ? 2 : 4, bit("s_axis_tvalid"), bit("m_axis_tready")});
  }
  std::sort(fifos.begin(), fifos.end(), [](const Fifo& a, const Fifo& b) { return a.name < b.name; });
  return fifos;
}

// Stops and goes of geometric length. Both the share of stops and their mean length differ from run to run, so
// that single cycles, long pauses, and nearly none are all tried.
class Stalls {
 public:
  Stalls() = default;
  Stalls(std::mt19937_64& random, double longest) : random_(&random) {
    const double share = 0.05 + 0.65 * uniform();
    stop_ = std::exp(uniform() * std::log(longest));
    go_ = std::max(1.0, stop_ * (1 - share) / share);
  }
  bool stopped() {
    if (random_ == nullptr) return false;
    if (left_-- == 0) {
      now_ = !now_;
      left_ = uint64_t(-std::log(1 - uniform()) * ((now_ ? stop_ : go_) - 0.5));
    }
    return now_;
  }

 private:
  double uniform() { return double((*random_)() >> 11) / double(1ull << 53); }

  std::mt19937_64* random_ = nullptr;
  double stop_ = 1, go_ = 1;
  uint64_t left_ = 0;
  bool now_ = false;
};

// Offers beats when they are due: at a pace, with gaps behind lines and images. A beat that is offered stays until it is
// taken, and those behind it are due as if it had been taken at once: an instrument does not wait.
class Source {
 public:
  Source(const harness::Options& options, const std::vector<uint8_t>& images, bool paced)
      : images_(images), beat_bytes_(options.number("--beat-bytes")), line_(options.number("--line-beats")),
        image_(line_ * options.number("--image-lines")), pace_(paced ? options.number("--pace") : 1),
        line_gap_(paced ? options.number("--line-gap") : 0), image_gap_(paced ? options.number("--image-gap") : 0) {
    if (images_.empty() || images_.size() % (beat_bytes_ * image_) != 0) fail("the file does not hold whole images");
  }

  size_t images() const { return images_.size() / (beat_bytes_ * image_); }
  size_t image_beats() const { return image_; }
  size_t sent() const { return sent_; }
  bool done() const { return sent_ * beat_bytes_ == images_.size(); }

  bool drive(Vicsort_net& top, bool stopped) {
    offered_ = !done() && now_ >= due_ && (offered_ || !stopped);
    top.s_axis_tvalid = offered_;
    if (offered_) std::memcpy(harness::bytes_of(top.s_axis_tdata), &images_[sent_ * beat_bytes_], beat_bytes_);
    ++now_;
    return offered_;
  }
  void accepted() {
    if (sent_++ == 0) due_ = now_ - 1;  // in an empty network some borders come before the first beat
    offered_ = false;
    due_ += pace_ + (sent_ % line_ == 0 ? line_gap_ : 0) + (sent_ % image_ == 0 ? image_gap_ : 0);
  }

 private:
  const std::vector<uint8_t>& images_;
  size_t beat_bytes_, line_, image_;
  uint64_t pace_, line_gap_, image_gap_, due_ = 0, now_ = 0;
  size_t sent_ = 0;
  bool offered_ = false;
};

std::string list(const std::vector<uint64_t>& values) {
  std::string text = "[";
  for (uint64_t value : values) text += (text.size() > 1 ? ", " : "") + std::to_string(value);
  return text + "]";
}

}  // namespace

int main(int argc, char** argv) {
  const harness::Options options(argc, argv);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody would read what it writes
  const std::vector<uint8_t> images = harness::read_file(options.text("--images"));
  const size_t logit_bytes = options.number("--logit-bytes");
  const uint64_t patience = options.number("--patience"), runs = 1 + options.number("--stall-runs");
  Output logits(options.text("--logits")), beats(options.text("--beats")), summary(options.text("--summary"));

  VerilatedContext context;
  Vicsort_net top(&context, "");
  std::vector<Fifo> fifos = find_fifos(context, "icsort_net.");
  uint64_t total = 0;
  std::string report;
  bool deadlock = false;
  const std::clock_t started = std::clock();
  for (uint64_t run = 0; run < runs && !deadlock; ++run) {
    const uint64_t seed = options.number("--seed") + run - 1;
    std::mt19937_64 random(seed);
    Source source(options, images, run == 0);
    Stalls in_stalls, out_stalls;
    if (run > 0) {  // the output has a beat an image: only a long stop fills the network behind it
      in_stalls = Stalls(random, double(source.image_beats()) / 4);
      out_stalls = Stalls(random, double(source.image_beats()) * 4);
    }
    std::vector<uint64_t> first, last, done;
    for (Fifo& fifo : fifos) fifo.clear();
    top.rst = 1;
    top.s_axis_tvalid = 0;
    top.m_axis_tready = 0;
    for (int i = 0; i < 16; ++i) {
      top.clk = i & 1;
      top.eval();
    }
    top.rst = 0;

    uint64_t cycle = 0, still = 0;
    // A stride may leave out the last pixels: the logits are there before they are taken.
    for (; (done.size() < source.images() || !source.done()) && !deadlock; ++cycle) {
      const bool offered = source.drive(top, in_stalls.stopped());
      top.m_axis_tready = !out_stalls.stopped();
      top.clk = 0;
      top.eval();
      const bool accepted = offered && top.s_axis_tready, taken = top.m_axis_tvalid && top.m_axis_tready;
      bool moved = accepted || taken;
      const bool logging = run == 0 && done.empty() && beats.open();
      for (Fifo& fifo : fifos) moved |= fifo.sample(uint32_t(cycle), logging);
      if (accepted) {
        if (source.sent() % source.image_beats() == 0) first.push_back(cycle);
        source.accepted();
        if (source.sent() % source.image_beats() == 0) last.push_back(cycle);
      }
      if (taken) {
        logits.write(harness::bytes_of(top.m_axis_tdata), logit_bytes);
        done.push_back(cycle);
        std::printf("%lu %zu %lu\n", run, done.size(), total + cycle);
        std::fflush(stdout);
      }
      // Only cycles in which nobody outside held the network back count.
      if (moved) {
        still = 0;
      } else if (top.m_axis_tready && (offered || source.done())) {
        deadlock = ++still > patience;
      }
      if (!deadlock) {
        top.clk = 1;
        top.eval();
      }
    }
    total += cycle;
    report += std::string(run ? ",\n" : "") + "{\"seed\": " + (run ? std::to_string(seed) : "null") +
              ", \"cycles\": " + std::to_string(cycle) + ", \"deadlock\": " + (deadlock ? "true" : "false") +
              ", \"first\": " + list(first) + ", \"last\": " + list(last) + ", \"done\": " + list(done);
    std::vector<uint64_t> columns[5];
    for (const Fifo& fifo : fifos) {
      const uint64_t values[5] = {fifo.peak, fifo.beats, fifo.stalled, fifo.waiting, fifo.held()};
      for (int i = 0; i < 5; ++i) columns[i].push_back(values[i]);
    }
    const char* names[5] = {"peak", "beats", "stalled", "waiting", "held"};
    for (int i = 0; i < 5; ++i) report += std::string(", \"") + names[i] + "\": " + list(columns[i]);
    report += "}";
  }
  const double seconds = double(std::clock() - started) / CLOCKS_PER_SEC;

  std::string described;
  for (const Fifo& fifo : fifos) {
    described += std::string(described.empty() ? "" : ",\n") + "{\"name\": \"" + fifo.name +
                 "\", \"width\": " + std::to_string(fifo.width) + ", \"depth\": " + std::to_string(fifo.depth) +
                 ", \"logged\": " + std::to_string(fifo.log.size()) + "}";
    beats.write(fifo.log.data(), fifo.log.size() * sizeof(uint32_t));
  }
  summary.text("{\"seconds\": " + std::to_string(seconds) + ", \"cycles\": " + std::to_string(total) +
               ", \"fifos\": [\n" + described + "],\n\"runs\": [\n" + report + "]}\n");
  summary.close();
  logits.close();
  beats.close();
  top.final();
  return 0;
}
