#include "client/cli/tensor_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/elements.h"

namespace dropout::cli {
namespace {

// NumPy's defaults.
constexpr std::size_t kThreshold = 1000;
constexpr std::int64_t kEdgeItems = 3;
constexpr int kPrecision = 8;
constexpr std::size_t kLineWidth = 75;

constexpr std::int64_t kEllipsis = -1;

// The indices of an axis that are printed, kEllipsis where some are left out.
std::vector<std::int64_t> ShownIndices(std::int64_t size, bool elide) {
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < size; ++i) {
    if (elide && size > 2 * kEdgeItems && i == kEdgeItems) {
      indices.push_back(kEllipsis);
      i = size - kEdgeItems;
    }
    indices.push_back(i);
  }
  return indices;
}

std::string ToChars(double value, std::chars_format format, int precision) {
  char text[400];  // The longest double in fixed notation has 309 digits before the point.
  const auto end = precision < 0
                       ? std::to_chars(text, text + sizeof(text), value, format)
                       : std::to_chars(text, text + sizeof(text), value, format, precision);
  return std::string(text, end.ptr);
}

std::string NonFinite(double value) {
  if (std::isnan(value)) return "nan";
  return value < 0 ? "-inf" : "inf";
}

// How all elements of one array are written, so that they line up.
class ElementFormat {
 public:
  explicit ElementFormat(const std::vector<double>& values) {
    double smallest = std::numeric_limits<double>::infinity();
    double largest = 0;
    for (const double value : values) {
      if (!std::isfinite(value) || value == 0) continue;
      smallest = std::min(smallest, std::fabs(value));
      largest = std::max(largest, std::fabs(value));
    }
    scientific_ =
        largest != 0 && (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000.0);
    for (const double value : values) Measure(value);
  }

  std::string operator()(double value) const {
    std::string text;
    if (!std::isfinite(value)) {
      text = NonFinite(value);
    } else if (scientific_) {
      text = Scientific(value, fraction_);
    } else {
      text = Fixed(value);
      const std::size_t missing = fraction_ - (text.size() - text.find('.') - 1);
      text.append(missing, ' ');
    }
    return std::string(width_ > text.size() ? width_ - text.size() : 0, ' ') + text;
  }

 private:
  // The shortest digits that identify the value, at most kPrecision after the point.
  static std::string Fixed(double value) {
    std::string text = ToChars(value, std::chars_format::fixed, -1);
    const std::size_t point = text.find('.');
    if (point == std::string::npos) return text + ".";
    if (text.size() - point - 1 > kPrecision) {
      text = ToChars(value, std::chars_format::fixed, kPrecision);
      text.erase(text.find_last_not_of('0') + 1);
    }
    return text;
  }

  static std::size_t ScientificFraction(double value) {
    const std::string text = ToChars(value, std::chars_format::scientific, -1);
    const std::size_t point = text.find('.');
    if (point == std::string::npos) return 0;
    return std::min<std::size_t>(text.find('e') - point - 1, kPrecision);
  }

  static std::string Scientific(double value, std::size_t fraction) {
    std::string text = ToChars(value, std::chars_format::scientific, static_cast<int>(fraction));
    if (fraction == 0) text.insert(text.find('e'), 1, '.');
    return text;
  }

  void Measure(double value) {
    if (!std::isfinite(value)) {
      width_ = std::max(width_, NonFinite(value).size());
    } else if (scientific_) {
      const std::size_t fraction = ScientificFraction(value);
      Widen(Scientific(value, fraction).size() - fraction, fraction);
    } else {
      const std::string text = Fixed(value);
      const std::size_t fraction = text.size() - text.find('.') - 1;
      Widen(text.size() - fraction, fraction);
    }
  }

  void Widen(std::size_t around, std::size_t fraction) {
    around_ = std::max(around_, around);
    fraction_ = std::max(fraction_, fraction);
    width_ = std::max(width_, around_ + fraction_);
  }

  bool scientific_ = false;
  std::size_t around_ = 0;    // Characters but those after the point.
  std::size_t fraction_ = 0;  // Characters after the point.
  std::size_t width_ = 0;
};

class Printer {
 public:
  explicit Printer(const Tensor& tensor)
      : tensor_(tensor), elide_(*ElementCount(tensor.shape) > kThreshold) {}

  std::string Print() {
    std::vector<double> shown;
    Collect(0, 0, &shown);
    const ElementFormat format(shown);
    std::string text;
    Append(0, 0, format, &text);
    return text;
  }

 private:
  std::size_t rank() const { return tensor_.shape.size(); }

  std::size_t Child(std::size_t axis, std::size_t index, std::int64_t i) const {
    return index * static_cast<std::size_t>(tensor_.shape[axis]) + static_cast<std::size_t>(i);
  }

  void Collect(std::size_t axis, std::size_t index, std::vector<double>* shown) const {
    if (axis == rank()) {
      shown->push_back(ReadableElementAt(tensor_, index));
      return;
    }
    for (const std::int64_t i : ShownIndices(tensor_.shape[axis], elide_)) {
      if (i != kEllipsis) Collect(axis + 1, Child(axis, index, i), shown);
    }
  }

  void Append(std::size_t axis, std::size_t index, const ElementFormat& format,
              std::string* text) const {
    if (axis == rank()) {
      *text += format(ReadableElementAt(tensor_, index));
    } else if (axis + 1 == rank()) {
      AppendRow(index, format, text);
    } else {
      AppendRows(axis, index, format, text);
    }
  }

  void AppendRow(std::size_t index, const ElementFormat& format, std::string* text) const {
    const std::size_t axis = rank() - 1;
    *text += '[';
    std::size_t line = rank();  // Characters on this line: the brackets or the indent.
    bool first = true;
    for (const std::int64_t i : ShownIndices(tensor_.shape[axis], elide_)) {
      const std::string word = i == kEllipsis
                                   ? std::string("...")
                                   : format(ReadableElementAt(tensor_, Child(axis, index, i)));
      if (!first) {
        *text += ',';
        if (line + 2 + word.size() + rank() > kLineWidth) {
          *text += '\n' + std::string(rank(), ' ');
          line = rank();
        } else {
          *text += ' ';
          line += 2;
        }
      }
      *text += word;
      line += word.size();
      first = false;
    }
    *text += ']';
  }

  void AppendRows(std::size_t axis, std::size_t index, const ElementFormat& format,
                  std::string* text) const {
    const std::string separator =
        absl::StrCat(",", std::string(rank() - axis - 1, '\n'), std::string(axis + 1, ' '));
    *text += '[';
    bool first = true;
    for (const std::int64_t i : ShownIndices(tensor_.shape[axis], elide_)) {
      if (!first) *text += separator;
      if (i == kEllipsis) {
        *text += "...";
      } else {
        Append(axis + 1, Child(axis, index, i), format, text);
      }
      first = false;
    }
    *text += ']';
  }

  const Tensor& tensor_;
  const bool elide_;
};

}  // namespace

std::string FormatTensor(const Tensor& tensor) {
  if (tensor.data.empty()) return "[]";
  return Printer(tensor).Print();
}

std::string FormatShape(const std::vector<std::int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

}  // namespace dropout::cli
