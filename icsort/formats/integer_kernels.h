// SPDX-License-Identifier: Apache-2.0
//
// The kernels of hw/rtl/kernels as arithmetic, without a clock: what a generated model (integer_source.py) is put together from.
//
// A stream is an array of all its elements of one image, pixel by pixel, the first channel first: int16_t where its bits
// fit, else int32_t. Behind each array are SLACK elements that may be read and mean nothing, as vectors are read whole.
// Integers wrap as in two's complement (-fwrapv): a sum of ACC_BITS up to 16 may be taken in 16 bits, whatever its parts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace integer {

#if defined(__AVX512BW__)
constexpr int VECTOR = 64, GROUP = 8;  // bytes of a register; pixels whose sums are in registers at once
#elif defined(__AVX2__)
constexpr int VECTOR = 32, GROUP = 4;
#else
constexpr int VECTOR = 16, GROUP = 4;
#endif
constexpr int SLACK = 128, LINEAR_STEPS = 31, TABLE_BITS = 10;

template <class T, int BYTES>
struct Vector {
  typedef T Type __attribute__((vector_size(BYTES)));
  static constexpr int LANES = BYTES / sizeof(T);
  static Type load(const T* from) {
    Type value;
    std::memcpy(&value, from, BYTES);
    return value;
  }
};

// Which elements a window begins with, and how its rows lie: `rows` runs of `run` elements, `pitch` elements apart.
struct Windows {
  std::vector<int32_t> begins;
  int rows, run, pitch;

  // Vectors one behind the other.
  Windows(int count, int length) : begins(count), rows(1), run(length), pitch(0) {
    for (int i = 0; i < count; ++i) begins[i] = i * length;
  }
  Windows(int height, int width, int channels, int k_h, int k_w, int s_h, int s_w)
      : rows(k_h), run(k_w * channels), pitch(width * channels) {
    for (int y = 0; y + k_h <= height; y += s_h)
      for (int x = 0; x + k_w <= width; x += s_w) begins.push_back((y * width + x) * channels);
  }
  int count() const { return int(begins.size()); }
};

// The first `wanted` results of each pixel, the pixels `pitch` elements apart.
template <int COUNT, int PIXELS, class T>
void store(const T (&results)[PIXELS][COUNT], int wanted, T* to, int pitch) {
  const size_t bytes = size_t(wanted) * sizeof(T);
  for (int p = 0; p < PIXELS; ++p, to += pitch) {
    if (wanted >= COUNT) std::memcpy(to, results[p], sizeof results[p]);
    else if (bytes == 16) std::memcpy(to, results[p], 16);  // of so many, without a call
    else if (bytes == 32) std::memcpy(to, results[p], 32);
    else std::memcpy(to, results[p], bytes);
  }
}

// OUT_BIAS + the number of thresholds that a value reaches, channel by channel.
class Thresholds {
 public:
  // values: (channels, steps)
  Thresholds(const int32_t* values, int channels, int steps, int bias)
      : steps_(steps), bias_(bias), pitch_(channels + SLACK), size_(1) {
    while (size_ <= steps) size_ *= 2;
    sorted_.assign(size_t(size_) * pitch_, std::numeric_limits<int32_t>::max());
    std::vector<int32_t> ordered(steps);
    for (int c = 0; c < channels; ++c) {
      std::copy(values + size_t(c) * steps, values + size_t(c + 1) * steps, ordered.begin());
      std::sort(ordered.begin(), ordered.end());
      for (int s = 0; s < steps; ++s) sorted_[size_t(s) * pitch_ + c] = ordered[s];
    }
    narrow_.resize(sorted_.size());
    for (size_t i = 0; i < sorted_.size(); ++i) narrow_[i] = int16_t(std::clamp(sorted_[i], -32768, 32767));
  }

  // COUNT sums of the channels from `channel` on, of each of several pixels; the first `wanted` results of a pixel are
  // stored, those of the next one `pitch` elements behind.
  template <int BYTES, int COUNT, int PIXELS, class Sum, class Out>
  void apply(const Sum (&sums)[PIXELS][COUNT], int channel, int wanted, Out* to, int pitch) const {
    alignas(64) Out out[PIXELS][COUNT];
    if (steps_ <= LINEAR_STEPS) {
      using V = Vector<Sum, BYTES>;
      for (int i = 0; i < COUNT; i += V::LANES) {
        typename V::Type sum[PIXELS], count[PIXELS] = {};
        for (int p = 0; p < PIXELS; ++p) sum[p] = V::load(sums[p] + i);
        const Sum* row = first<Sum>() + channel + i;
        for (int s = 0; s < steps_; ++s, row += pitch_) {
          const typename V::Type threshold = V::load(row);
          for (int p = 0; p < PIXELS; ++p) count[p] -= sum[p] >= threshold;
        }
        for (int p = 0; p < PIXELS; ++p) {
          alignas(64) Sum counts[V::LANES];
          std::memcpy(counts, &count[p], sizeof counts);
          for (int lane = 0; lane < V::LANES; ++lane) out[p][i + lane] = Out(counts[lane] + bias_);
        }
      }
    } else {
      const int32_t* row = sorted_.data() + channel;
      for (int p = 0; p < PIXELS; ++p) {
        int32_t position[COUNT] = {};
        for (int half = size_ / 2; half > 0; half /= 2)
          for (int i = 0; i < COUNT; ++i)
            position[i] += sums[p][i] >= row[(position[i] + half - 1) * pitch_ + i] ? half : 0;
        for (int i = 0; i < COUNT; ++i) out[p][i] = Out(position[i] + bias_);
      }
    }
    store(out, wanted, to, pitch);
  }

  int32_t of(int channel, int32_t value) const {
    int count = 0;
    for (int s = 0; s < steps_; ++s) count += value >= sorted_[size_t(s) * pitch_ + channel];
    return count + bias_;
  }

 private:
  template <class Sum>
  const Sum* first() const {
    if constexpr (sizeof(Sum) == 2) return narrow_.data();
    else return sorted_.data();
  }
  int steps_, bias_, pitch_, size_;
  std::vector<int32_t> sorted_;  // (step, channel): ascending in each channel, then more than any value
  std::vector<int16_t> narrow_;
};

// Sums as they are.
struct Plain {
  template <int BYTES, int COUNT, int PIXELS, class Sum, class Out>
  void apply(const Sum (&sums)[PIXELS][COUNT], int, int wanted, Out* to, int pitch) const {
    store(sums, wanted, to, pitch);
  }
};

// Rows of a matrix whose sums are in registers at once: half a register, one or two.
template <class Factor>
constexpr int block(int rows) {
  const int lanes = VECTOR / int(sizeof(Factor));
  return rows <= lanes / 2 ? lanes / 2 : rows <= lanes ? lanes : 2 * lanes;
}

// A matrix times each window or vector. Sum: of the result. Factor: of weights and of products, which are summed in this
// type `chunk` at a time. BLOCK: of the rows.
template <class In, class Factor, class Sum, class Out, class After, int BLOCK>
class Matrix {
  static constexpr int BYTES = BLOCK * int(sizeof(Factor)) < VECTOR ? VECTOR / 2 : VECTOR;
  static constexpr int VECTORS = BLOCK * int(sizeof(Factor)) / BYTES;

 public:
  // weights: (rows, columns), columns as windows lie; offsets: (rows,) what each sum begins with.
  Matrix(Windows windows, int rows, int chunk, const int32_t* weights, const int32_t* offsets, After after)
      : windows_(std::move(windows)), rows_(rows), chunk_(chunk), after_(std::move(after)) {
    const int columns = windows_.rows * windows_.run, blocks = (rows + BLOCK - 1) / BLOCK;
    weights_.assign(size_t(blocks) * columns * BLOCK, 0);
    offsets_.assign(size_t(blocks) * BLOCK, 0);
    for (int row = 0; row < rows; ++row) {
      offsets_[row] = Sum(offsets[row]);
      for (int column = 0; column < columns; ++column)
        weights_[(size_t(row / BLOCK) * columns + column) * BLOCK + row % BLOCK] =
            Factor(weights[size_t(row) * columns + column]);
    }
  }

  void run(const In* in, Out* out) const {
    const int columns = windows_.rows * windows_.run;
    for (int row = 0; row < rows_; row += BLOCK) {
      const Factor* weights = weights_.data() + size_t(row) * columns;
      int pixel = group<GROUP>(in, out, weights, row, 0);
      if constexpr (GROUP > 4) pixel = group<4>(in, out, weights, row, pixel);
      group<1>(in, out, weights, row, group<2>(in, out, weights, row, pixel));
    }
  }

 private:
  template <int PIXELS>
  int group(const In* in, Out* out, const Factor* weights, int row, int pixel) const {
    using V = Vector<Factor, BYTES>;
    for (; pixel + PIXELS <= windows_.count(); pixel += PIXELS) {
      alignas(64) Sum sums[PIXELS][BLOCK];
      for (int p = 0; p < PIXELS; ++p) std::memcpy(sums[p], &offsets_[row], sizeof sums[p]);
      const Factor* weight = weights;
      for (int window_row = 0; window_row < windows_.rows; ++window_row) {
        const In* from[PIXELS];
        for (int p = 0; p < PIXELS; ++p) from[p] = in + windows_.begins[pixel + p] + window_row * windows_.pitch;
        for (int begin = 0; begin < windows_.run; begin += chunk_) {
          const int end = std::min(windows_.run, begin + chunk_);
          typename V::Type part[PIXELS][VECTORS] = {};
          for (int k = begin; k < end; ++k, weight += BLOCK) {
            typename V::Type factor[VECTORS];
            for (int v = 0; v < VECTORS; ++v) factor[v] = V::load(weight + v * V::LANES);
            for (int p = 0; p < PIXELS; ++p)
              for (int v = 0; v < VECTORS; ++v) part[p][v] += factor[v] * Factor(from[p][k]);
          }
          for (int p = 0; p < PIXELS; ++p) {
            alignas(64) Factor stored[BLOCK];
            std::memcpy(stored, part[p], sizeof stored);
            for (int i = 0; i < BLOCK; ++i) sums[p][i] += stored[i];
          }
        }
      }
      after_.template apply<BYTES>(sums, row, rows_ - row, out + size_t(pixel) * rows_ + row, rows_);
    }
    return pixel;
  }

  Windows windows_;
  int rows_, chunk_;
  std::vector<Factor> weights_;  // (block of rows, column, row)
  std::vector<Sum> offsets_;
  After after_;
};

// One small kernel for each channel.
template <class In, class Sum, class Out, class After>
class Depthwise {
 public:
  // weights: (channels, taps); offsets: (channels,)
  Depthwise(Windows windows, int channels, const int32_t* weights, const int32_t* offsets, After after)
      : windows_(std::move(windows)), channels_(channels), pitch_(channels + SLACK), after_(std::move(after)) {
    const int columns = windows_.run / channels, taps = windows_.rows * columns;
    weights_.assign(size_t(taps) * pitch_, 0);
    offsets_.assign(pitch_, 0);
    for (int tap = 0; tap < taps; ++tap) {
      places_.push_back(tap / columns * windows_.pitch + tap % columns * channels);
      for (int c = 0; c < channels; ++c) weights_[size_t(tap) * pitch_ + c] = Sum(weights[size_t(c) * taps + tap]);
    }
    for (int c = 0; c < channels; ++c) offsets_[c] = Sum(offsets[c]);
  }

  void run(const In* in, Out* out) const {
    for (int channel = 0; channel < channels_; channel += VECTOR / int(sizeof(Sum)))
      group<1>(in, out, channel, group<4>(in, out, channel, 0));
  }

 private:
  template <int PIXELS>
  int group(const In* in, Out* out, int channel, int pixel) const {
    using V = Vector<Sum, VECTOR>;
    constexpr int BLOCK = V::LANES;
    for (; pixel + PIXELS <= windows_.count(); pixel += PIXELS) {
      typename V::Type sum[PIXELS];
      for (int p = 0; p < PIXELS; ++p) sum[p] = V::load(offsets_.data() + channel);
      for (size_t tap = 0; tap < places_.size(); ++tap) {
        const typename V::Type weight = V::load(weights_.data() + tap * pitch_ + channel);
        for (int p = 0; p < PIXELS; ++p) {
          const In* from = in + windows_.begins[pixel + p] + channel + places_[tap];  // one address: no index may wrap
          alignas(64) Sum values[BLOCK];
          for (int i = 0; i < BLOCK; ++i) values[i] = Sum(from[i]);
          sum[p] += V::load(values) * weight;
        }
      }
      alignas(64) Sum sums[PIXELS][BLOCK];
      std::memcpy(sums, sum, sizeof sums);
      after_.template apply<VECTOR>(sums, channel, channels_ - channel, out + size_t(pixel) * channels_ + channel,
                                    channels_);
    }
    return pixel;
  }

  Windows windows_;
  int channels_, pitch_;
  std::vector<int32_t> places_;
  std::vector<Sum> weights_, offsets_;
  After after_;
};

// Thresholds that stand alone. table: one for each value of few bits, from `low` on.
template <class In, class Out>
class Threshold {
 public:
  Threshold(int pixels, int channels, int bits, bool is_signed, Thresholds thresholds)
      : pixels_(pixels), channels_(channels), low_(is_signed ? -(1 << (bits - 1)) : 0), values_(0),
        thresholds_(std::move(thresholds)) {
    if (bits > TABLE_BITS) return;
    values_ = 1 << bits;
    for (int c = 0; c < channels; ++c)
      for (int value = 0; value < values_; ++value) table_.push_back(Out(thresholds_.of(c, low_ + value)));
  }

  void run(const In* in, Out* out) const {
    if (values_) {
      for (int pixel = 0; pixel < pixels_; ++pixel)
        for (int c = 0; c < channels_; ++c, ++in, ++out) *out = table_[size_t(c) * values_ + (*in - low_)];
      return;
    }
    constexpr int BLOCK = VECTOR / int(sizeof(In));
    for (int pixel = 0; pixel < pixels_; ++pixel, in += channels_, out += channels_) {
      for (int c = 0; c < channels_; c += BLOCK) {
        alignas(64) In values[1][BLOCK];
        std::memcpy(values, in + c, sizeof values);
        thresholds_.template apply<VECTOR>(values, c, channels_ - c, out + c, channels_);
      }
    }
  }

 private:
  int pixels_, channels_, low_, values_;
  Thresholds thresholds_;
  std::vector<Out> table_;  // (channel, value)
};

template <class In, class Out>
void max_pool(const Windows& windows, int channels, const In* in, Out* out) {
  for (int pixel = 0; pixel < windows.count(); ++pixel, out += channels) {
    const In* from = in + windows.begins[pixel];
    for (int c = 0; c < channels; ++c) out[c] = Out(from[c]);
    for (int row = 0; row < windows.rows; ++row, from += windows.pitch)
      for (int tap = 0; tap < windows.run; tap += channels)
        for (int c = 0; c < channels; ++c) out[c] = std::max(out[c], Out(from[tap + c]));
  }
}

// The border was zero from the start.
template <class T>
void pad(int height, int width, int channels, int top, int left, int right, const T* in, T* out) {
  const size_t line = size_t(width) * channels, padded = size_t(left + width + right) * channels;
  out += top * padded + size_t(left) * channels;
  for (int y = 0; y < height; ++y) std::memcpy(out + y * padded, in + y * line, line * sizeof(T));
}

template <class In, class Out>
void sum_pixels(int pixels, int channels, const In* in, Out* out) {
  std::fill(out, out + channels, Out(0));
  for (int pixel = 0; pixel < pixels; ++pixel)
    for (int c = 0; c < channels; ++c) out[c] += Out(in[size_t(pixel) * channels + c]);
}

template <class Lhs, class Rhs, class Out>
void add(int elements, const Lhs* lhs, const Rhs* rhs, Out* out) {
  for (int i = 0; i < elements; ++i) out[i] = Out(int32_t(lhs[i]) + int32_t(rhs[i]));
}

template <class In, class Out>
void add_channels(int pixels, int channels, const int32_t* addends, const In* in, Out* out) {
  for (int pixel = 0; pixel < pixels; ++pixel)
    for (int c = 0; c < channels; ++c) out[size_t(pixel) * channels + c] = Out(in[size_t(pixel) * channels + c] + addends[c]);
}

template <class T>
void concatenate(int pixels, int left, int right, const T* lhs, const T* rhs, T* out) {
  for (int pixel = 0; pixel < pixels; ++pixel) {
    std::memcpy(out, lhs + size_t(pixel) * left, left * sizeof(T));
    std::memcpy(out + left, rhs + size_t(pixel) * right, right * sizeof(T));
    out += left + right;
  }
}

template <class From, class To>
void copy(int elements, const From* from, To* to) {
  for (int i = 0; i < elements; ++i) to[i] = To(from[i]);
}

}  // namespace integer
