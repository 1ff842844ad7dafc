// Bytes of format 1 to values.
//
// Integers are varints (signed ones zigzag), doubles their 8 bytes, little-endian; strings and
// vectors follow their length, optionals a flag, variants their index. A struct is the fields that
// its function Read(decoder, value) names, in that order.
#ifndef DROPOUTD_SERVER_PERSISTENCE_FORMAT1_BYTE_DECODER_H_
#define DROPOUTD_SERVER_PERSISTENCE_FORMAT1_BYTE_DECODER_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace dropoutd::format1 {

// How many values, from 0 on, an enum has; specialised for each that is read.
template <typename Enum>
inline constexpr std::uint64_t kEnumCount = 0;

// Reads any bytes safely: after the first that do not fit, ok() is false and values are whatever
// they were.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {}

  template <typename... Values>
  void operator()(Values&... values) {
    (Get(values), ...);
  }

  // Whether an older version wrote no more: what is described after that keeps its value.
  bool AtEnd() const { return bytes_.empty(); }

  bool ok() const { return ok_; }
  std::string_view rest() const { return bytes_; }

 private:
  void Fail() {
    ok_ = false;
    bytes_ = {};
  }

  std::uint64_t GetVarint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      if (shift == 63 && byte > 1) break;
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    Fail();
    return 0;
  }

  // A length, of things of at least a byte each.
  std::size_t GetLength() {
    const std::uint64_t length = GetVarint();
    if (length <= bytes_.size()) return static_cast<std::size_t>(length);
    Fail();
    return 0;
  }

  template <typename T>
  void Get(T& value) {
    if constexpr (std::is_enum_v<T>) {
      static_assert(kEnumCount<T> != 0);
      const std::uint64_t number = GetVarint();
      if (number < kEnumCount<T>) {
        value = static_cast<T>(number);
      } else {
        Fail();
      }
    } else if constexpr (std::is_same_v<T, bool>) {
      const std::uint64_t number = GetVarint();
      if (number > 1) Fail();
      value = number == 1;
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      const std::uint64_t zigzag = GetVarint();
      const auto wide = static_cast<std::int64_t>(zigzag >> 1 ^ (0 - (zigzag & 1)));
      if (!std::in_range<T>(wide)) return Fail();
      value = static_cast<T>(wide);
    } else if constexpr (std::is_integral_v<T>) {
      const std::uint64_t wide = GetVarint();
      if (!std::in_range<T>(wide)) return Fail();
      value = static_cast<T>(wide);
    } else if constexpr (std::is_same_v<T, double>) {
      if (bytes_.size() < 8) return Fail();
      std::uint64_t bits = 0;
      for (std::size_t i = 0; i < 8; ++i) {
        bits |= std::uint64_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
      }
      bytes_.remove_prefix(8);
      value = std::bit_cast<double>(bits);
    } else {
      Read(*this, value);
    }
  }

  void Get(std::string& value) {
    const std::size_t length = GetLength();
    value.assign(bytes_.substr(0, length));
    bytes_.remove_prefix(length);
  }
  void Get(std::monostate&) {}
  template <typename T>
  void Get(std::vector<T>& values) {
    const std::size_t count = GetLength();
    values.clear();
    for (std::size_t i = 0; i < count && ok_; ++i) Get(values.emplace_back());
  }
  template <typename T>
  void Get(std::optional<T>& value) {
    bool present = false;
    Get(present);
    value.reset();
    if (present && ok_) Get(value.emplace());
  }
  template <typename... T>
  void Get(std::variant<T...>& value) {
    const std::uint64_t index = GetVarint();
    if (index >= sizeof...(T)) return Fail();
    GetAlternative(value, index, std::index_sequence_for<T...>());
  }
  template <typename Variant, std::size_t... I>
  void GetAlternative(Variant& value, std::uint64_t index, std::index_sequence<I...>) {
    static_cast<void>(((I == index ? (Get(value.template emplace<I>()), true) : false) || ...));
  }

  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace dropoutd::format1

#endif  // DROPOUTD_SERVER_PERSISTENCE_FORMAT1_BYTE_DECODER_H_
