#include "grid/containers/window.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.h"
#include "base/json_text.h"
#include "base/number_text.h"
#include "grid/row_number.h"
#include "grid/tagged.h"

namespace bettong::grid {
namespace {

double FloatOf(uint64_t raw) { return std::bit_cast<double>(raw); }
uint64_t RawOf(double value) { return std::bit_cast<uint64_t>(value); }

bool Less(bool is_float, uint64_t a, uint64_t b) {
  return is_float ? FloatOf(a) < FloatOf(b) : static_cast<int64_t>(a) < static_cast<int64_t>(b);
}
double NumberOf(bool is_float, uint64_t raw) {
  return is_float ? FloatOf(raw) : static_cast<double>(static_cast<int64_t>(raw));
}

// An int of up to 128 bits.
void AppendWide(WideInt value, std::string& out) {
  if (value < 0) out.push_back('-');
  std::string digits;
  do {
    const int digit = static_cast<int>(value % 10);
    digits.push_back(static_cast<char>('0' + (digit < 0 ? -digit : digit)));
    value /= 10;
  } while (value != 0);
  out.append(digits.rbegin(), digits.rend());
}

}  // namespace

void* Window::operator new(size_t size, const WindowShape& shape) {
  return ::operator new(size + static_cast<size_t>(shape.panes) * shape.words * sizeof(uint64_t));
}

std::unique_ptr<Window> Window::Make(const WindowShape& shape) {
  std::unique_ptr<Window> window(new (shape) Window(shape));
  std::fill_n(window->words(), static_cast<size_t>(shape.panes) * shape.words, uint64_t{0});
  return window;
}

size_t WindowShape::heap_bytes() const {
  return sizeof(Window) + static_cast<size_t>(panes) * words * sizeof(uint64_t) + 16;
}

size_t Window::place(int64_t number) const {
  int64_t at = number % shape_.panes;
  if (at < 0) at += shape_.panes;
  return static_cast<size_t>(at) * shape_.words;
}

int64_t Window::PaneOf(TimeMs at_ms) const {
  int64_t number = at_ms / spec().pane_ms;
  if (at_ms % spec().pane_ms < 0) --number;
  return number;
}

// --- values

Window::Added Window::Add(uint64_t raw, TimeMs at_ms, ContainerTurn& turn) {
  if (at_ms < -kWindowTimeMax || at_ms > kWindowTimeMax) return Added::kNoTime;
  const int64_t number = PaneOf(at_ms);
  const bool newer = newest_ == kNoPane || number > newest_;
  if (!newer && number <= newest_ - shape_.panes) return Added::kLate;
  if (!newer && !SumFits(pane(number), raw)) return Added::kOverflow;
  ByteWriter operation(turn.operations);
  operation.Zigzag(newest_ == kNoPane ? number : number - newest_);
  operation.Varint(static_cast<uint64_t>(at_ms - number * spec().pane_ms));
  WriteNumber(spec().is_float, raw, operation);
  if (newer) {
    MoveTo(number, &turn);
  } else {
    Save(number, turn);
  }
  AddTo(pane(number), raw, at_ms);
  return Added::kYes;
}

bool Window::SumFits(const uint64_t* pane, uint64_t raw) const {
  if (spec().is_float || shape_.sum == 0 || pane[0] == 0) return true;
  int64_t sum;
  return !__builtin_add_overflow(static_cast<int64_t>(pane[shape_.sum]), static_cast<int64_t>(raw),
                                 &sum);
}

void Window::MoveTo(int64_t number, ContainerTurn* turn) {
  const int64_t panes = shape_.panes;
  int64_t cleared = panes;
  if (newest_ != kNoPane && number - newest_ < panes) cleared = number - newest_;
  for (int64_t i = 0; i < cleared; ++i) {
    if (turn != nullptr) Save(number - i, *turn);
    std::fill_n(pane(number - i), shape_.words, uint64_t{0});
  }
  newest_ = number;
}

void Window::AddTo(uint64_t* pane, uint64_t raw, TimeMs at_ms) const {
  const WindowShape& at = shape_;
  const bool is_float = spec().is_float;
  const bool none = pane[0]++ == 0;
  if (at.sum > 0) {
    pane[at.sum] = none       ? raw
                   : is_float ? RawOf(FloatOf(pane[at.sum]) + FloatOf(raw))
                              : pane[at.sum] + raw;
  }
  if (at.min > 0 && (none || Less(is_float, raw, pane[at.min]))) pane[at.min] = raw;
  if (at.max > 0 && (none || Less(is_float, pane[at.max], raw))) pane[at.max] = raw;
  const auto time = static_cast<uint64_t>(at_ms);
  if (at.first > 0 && (none || at_ms < static_cast<TimeMs>(pane[at.first + 1]))) {
    pane[at.first] = raw, pane[at.first + 1] = time;
  }
  if (at.last > 0 && (none || at_ms >= static_cast<TimeMs>(pane[at.last + 1]))) {
    pane[at.last] = raw, pane[at.last + 1] = time;
  }
  if (at.variance > 0) {  // Welford
    const double value = NumberOf(is_float, raw);
    const double mean = none ? 0 : FloatOf(pane[at.variance]);
    const double squares = none ? 0 : FloatOf(pane[at.variance + 1]);
    const double away = value - mean;
    const double new_mean = mean + away / static_cast<double>(pane[0]);
    pane[at.variance] = RawOf(new_mean);
    pane[at.variance + 1] = RawOf(squares + away * (value - new_mean));
  }
}

void Window::Merge(const uint64_t* pane, WindowTotals& totals) const {
  if (pane[0] == 0) return;
  const WindowShape& at = shape_;
  const bool is_float = spec().is_float;
  const bool none = totals.count == 0;
  const auto before = static_cast<double>(totals.count), more = static_cast<double>(pane[0]);
  totals.count += pane[0];
  if (at.sum > 0) {
    is_float ? void(totals.float_sum += FloatOf(pane[at.sum]))
             : void(totals.int_sum += static_cast<int64_t>(pane[at.sum]));
  }
  if (at.min > 0 && (none || Less(is_float, pane[at.min], totals.min))) totals.min = pane[at.min];
  if (at.max > 0 && (none || Less(is_float, totals.max, pane[at.max]))) totals.max = pane[at.max];
  // Panes come in the order of time.
  if (at.first > 0 && none) {
    totals.first = pane[at.first], totals.first_ms = static_cast<TimeMs>(pane[at.first + 1]);
  }
  if (at.last > 0) {
    totals.last = pane[at.last], totals.last_ms = static_cast<TimeMs>(pane[at.last + 1]);
  }
  if (at.variance > 0) {  // Chan, Golub and LeVeque
    const double mean = FloatOf(pane[at.variance]), squares = FloatOf(pane[at.variance + 1]);
    if (none) {
      totals.mean = mean, totals.squares = squares;
      return;
    }
    const double away = mean - totals.mean, all = before + more;
    totals.mean += away * more / all;
    totals.squares += squares + away * away * before * more / all;
  }
}

WindowTotals Window::Totals() const {
  if (newest_ == kNoPane) return {};
  WindowTotals totals;
  for (int64_t i = shape_.panes - 1; i > 0; --i) Merge(pane(newest_ - i), totals);
  Merge(pane(newest_), totals);
  return totals;
}

// --- taking back

// The newest pane's number, the pane's, its words.
void Window::Save(int64_t number, ContainerTurn& turn) const {
  turn.undo.push_back(static_cast<uint64_t>(newest_));
  turn.undo.push_back(static_cast<uint64_t>(number));
  const uint64_t* words = pane(number);
  turn.undo.insert(turn.undo.end(), words, words + shape_.words);
}

void Window::TakeBack(ContainerTurn& turn, size_t undo_left) {
  const size_t size = 2 + shape_.words;
  while (turn.undo.size() > undo_left) {
    const uint64_t* saved = turn.undo.data() + turn.undo.size() - size;
    newest_ = static_cast<int64_t>(saved[0]);
    std::copy_n(saved + 2, shape_.words, pane(static_cast<int64_t>(saved[1])));
    turn.undo.resize(turn.undo.size() - size);
  }
}

// --- the log

bool Window::ReadOperation(const WindowSpec& spec, ByteReader& in, Operation& operation) {
  operation.step = in.Zigzag();
  const uint64_t into_pane = in.Varint();
  operation.into_pane_ms = static_cast<int64_t>(into_pane);
  operation.raw = ReadNumber(spec.is_float, in);
  return in.ok() && into_pane < static_cast<uint64_t>(spec.pane_ms);
}

bool Window::Replay(std::string_view operations) {
  ByteReader in(operations);
  Operation operation;
  while (!in.empty()) {
    if (!ReadOperation(spec(), in, operation)) return false;
    int64_t number = operation.step;
    TimeMs begin_ms;
    if ((newest_ != kNoPane && __builtin_add_overflow(newest_, number, &number)) ||
        __builtin_mul_overflow(number, spec().pane_ms, &begin_ms) ||
        begin_ms < -2 * kWindowTimeMax + 1 || begin_ms > kWindowTimeMax) {
      return false;
    }
    if (newest_ == kNoPane || number > newest_) {
      MoveTo(number, nullptr);
    } else if (number <= newest_ - shape_.panes || !SumFits(pane(number), operation.raw)) {
      return false;
    }
    AddTo(pane(number), operation.raw, begin_ms + operation.into_pane_ms);
  }
  return true;
}

// Varint 0: no value yet. Else 1, zigzag newest pane, then of each pane, the newest first: varint
// count, and if that is not 0 its other words.
void Window::EncodeImage(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Varint(newest_ == kNoPane ? 0 : 1);
  if (newest_ == kNoPane) return;
  bytes.Zigzag(newest_);
  for (int64_t i = 0; i < shape_.panes; ++i) {
    const uint64_t* words = pane(newest_ - i);
    bytes.Varint(words[0]);
    if (words[0] == 0) continue;
    for (uint32_t k = 1; k < shape_.words; ++k) bytes.Fixed(words[k]);
  }
}

bool Window::DecodeImage(std::string_view image) {
  ByteReader in(image);
  const uint64_t some = in.Varint();
  if (some == 0) return in.ok() && in.empty();
  newest_ = in.Zigzag();
  TimeMs end_ms;
  if (some > 1 || newest_ < INT64_MIN / 2 || newest_ > INT64_MAX / 2 ||
      __builtin_mul_overflow(newest_ + 1, spec().pane_ms, &end_ms) ||
      end_ms < -2 * kWindowTimeMax + 1 || end_ms > 2 * (kWindowTimeMax - 1)) {
    newest_ = kNoPane;
    return false;
  }
  for (int64_t i = 0; i < shape_.panes; ++i) {
    uint64_t* words = pane(newest_ - i);
    words[0] = in.Varint();
    if (words[0] == 0) continue;
    for (uint32_t k = 1; k < shape_.words; ++k) words[k] = in.Fixed<uint64_t>();
  }
  return in.ok() && in.empty();
}

// --- text

void Window::AppendJson(std::string& out) const {
  const WindowTotals totals = Totals();
  absl::StrAppend(&out, "{\"count\":", totals.count);
  if (totals.count == 0) {
    out.push_back('}');
    return;
  }
  absl::StrAppend(&out, ",\"start\":", start_ms(), ",\"end\":", end_ms());
  const auto number = [&](const char* name, uint64_t raw) {
    absl::StrAppend(&out, ",\"", name, "\":");
    spec().is_float ? AppendJsonFloat(FloatOf(raw), out)
                    : AppendInt(static_cast<int64_t>(raw), out);
  };
  const auto floating = [&](const char* name, double value) {
    absl::StrAppend(&out, ",\"", name, "\":");
    AppendJsonFloat(value, out);
  };
  const auto count = static_cast<double>(totals.count);
  if (shape_.sum > 0) {
    out += ",\"sum\":";
    spec().is_float ? AppendJsonFloat(totals.float_sum, out) : AppendWide(totals.int_sum, out);
    floating("mean",
             (spec().is_float ? totals.float_sum : static_cast<double>(totals.int_sum)) / count);
  }
  if (shape_.min > 0) number("min", totals.min);
  if (shape_.max > 0) number("max", totals.max);
  if (shape_.first > 0) number("first", totals.first);
  if (shape_.last > 0) number("last", totals.last);
  if (shape_.variance > 0) floating("variance", totals.squares / count);
  out.push_back('}');
}

uint64_t Window::AppendPage(uint64_t, size_t, std::string& tagged) const {
  const WindowTotals totals = Totals();
  std::string pairs;
  TaggedWriter out(pairs);
  uint64_t size = 0;
  const auto integer = [&](const char* name, int64_t value) {
    out.Text(name), out.Int(value), ++size;
  };
  const auto floating = [&](const char* name, double value) {
    out.Text(name), out.Float(value), ++size;
  };
  const auto number = [&](const char* name, uint64_t raw) {
    spec().is_float ? floating(name, FloatOf(raw)) : integer(name, static_cast<int64_t>(raw));
  };
  integer("count", static_cast<int64_t>(totals.count));
  if (totals.count > 0) {
    const auto count = static_cast<double>(totals.count);
    integer("start", start_ms()), integer("end", end_ms());
    if (shape_.sum > 0) {
      const bool fits = totals.int_sum >= INT64_MIN && totals.int_sum <= INT64_MAX;
      if (spec().is_float) {
        floating("sum", totals.float_sum);
      } else if (fits) {
        integer("sum", static_cast<int64_t>(totals.int_sum));
      } else {
        std::string digits;
        AppendWide(totals.int_sum, digits);
        out.Text("sum"), out.Text(digits), ++size;
      }
      floating("mean",
               (spec().is_float ? totals.float_sum : static_cast<double>(totals.int_sum)) / count);
    }
    if (shape_.min > 0) number("min", totals.min);
    if (shape_.max > 0) number("max", totals.max);
    if (shape_.first > 0) number("first", totals.first);
    if (shape_.last > 0) number("last", totals.last);
    if (shape_.variance > 0) floating("variance", totals.squares / count);
  }
  TaggedWriter(tagged).Map(size);
  tagged += pairs;
  return 0;
}

}  // namespace bettong::grid
