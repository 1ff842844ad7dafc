#include "tests/service/random_message.h"

#include <algorithm>
#include <array>

namespace dropoutd {
namespace {

enum Type : std::uint32_t { kVarint, kFixed64, kDelimited, kGroup, kEndGroup, kFixed32 };

}  // namespace

std::string RandomMessages::Varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  bytes += static_cast<char>(value);
  // Longer than it needs to be, sometimes longer than it may be.
  for (std::uint64_t extra = OneIn(20) ? Below(10) : 0; extra != 0; --extra) {
    bytes.back() = static_cast<char>(bytes.back() | 0x80);
    bytes += '\0';
  }
  return bytes;
}

std::string RandomMessages::AnyVarint() {
  switch (Below(4)) {
    case 0:
      return Varint(Below(4));
    case 1:
      return Varint(random_());
    case 2:
      return Varint(Below(1 << 20));
    default:
      return Varint(~std::uint64_t{0} - Below(3));
  }
}

std::string RandomMessages::Tag(std::uint32_t number, std::uint32_t type) {
  if (OneIn(30)) type = static_cast<std::uint32_t>(Below(8));
  return Varint(number << 3 | type);
}

std::string RandomMessages::Delimited(const std::string& bytes) {
  const std::uint64_t off = OneIn(60) ? Below(7) : 3;
  return Varint(bytes.size() + off - 3) + bytes;
}

std::string RandomMessages::Text() {
  static const std::array<std::string, 12> kParts = {
      "a",        "layer.1",         "\xC3\xA9",         "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
      "\xC0\x80", "\xED\xA0\x80",    "\xF4\x90\x80\x80", "\xFF",         std::string(1, '\0'),
      "\xE2\x82", "0123456789abcdef"};
  std::string text;
  // Mostly from the first five, which are good.
  for (std::uint64_t n = Below(4); n != 0; --n) text += kParts[OneIn(20) ? Below(12) : Below(5)];
  return text;
}

std::string RandomMessages::Bytes() {
  std::string bytes(OneIn(10) ? Below(2000) : Below(20), '\0');
  for (char& c : bytes) c = static_cast<char>(random_());
  return bytes;
}

template <typename Field>
std::string RandomMessages::Fields(int most, Field field) {
  std::string bytes;
  for (std::uint64_t n = Below(static_cast<std::uint64_t>(most) + 1); n != 0; --n) {
    bytes += OneIn(15) ? Unknown(0) : field();
  }
  return bytes;
}

std::string RandomMessages::Unknown(int depth) {
  const auto number = static_cast<std::uint32_t>(OneIn(4) ? Below(std::uint64_t{1} << 29)
                                                          : (OneIn(10) ? 0 : Below(20)));
  switch (Below(5)) {
    case 0:
      return Tag(number, kVarint) + AnyVarint();
    case 1:
      return Tag(number, kFixed64) + std::string(8, 'x');
    case 2:
      return Tag(number, kDelimited) + Delimited(Bytes());
    case 3:
      return Tag(number, kFixed32) + std::string(4, 'x');
    default:
      break;
  }
  std::string inside;
  if (depth < 4 && OneIn(2)) inside = Unknown(depth + 1);
  std::string group = Varint(number << 3 | kGroup) + inside + Tag(number, kEndGroup);
  // About as deep as is allowed. Tags of one byte, which stay as they are.
  if (OneIn(30)) {
    const std::size_t levels = 94 + Below(9);
    group = std::string(levels, char{8 << 3 | kGroup}) + group +
            std::string(levels, char{8 << 3 | kEndGroup});
  }
  return group;
}

std::string RandomMessages::Place() {
  return Fields(3, [&] {
    return OneIn(2) ? Tag(1, kDelimited) + Delimited(Text()) : Tag(2, kVarint) + AnyVarint();
  });
}

std::string RandomMessages::Tensor() {
  return Fields(5, [&]() -> std::string {
    switch (Below(5)) {
      case 0:
        return Tag(1, kVarint) + AnyVarint();
      case 1: {
        std::string packed;
        for (std::uint64_t n = Below(5); n != 0; --n) packed += AnyVarint();
        return Tag(2, kDelimited) + Delimited(packed);
      }
      case 2:
        return Tag(2, kVarint) + AnyVarint();
      case 3:
        return Tag(3, kDelimited) + Delimited(Bytes());
      default:
        return Tag(4, kDelimited) + Delimited(Place());
    }
  });
}

std::string RandomMessages::Step(bool backward) {
  return Fields(9, [&]() -> std::string {
    switch (Below(backward ? 10 : 9)) {
      case 0:
        return Tag(1, kDelimited) + Delimited(Text());
      case 1:
        return Tag(2, kDelimited) + Delimited(Text());
      case 2:
        return Tag(3, kVarint) + AnyVarint();
      case 3:
      case 4:
        return Tag(4, kDelimited) + Delimited(Tensor());
      case 5:
        return Tag(5, kVarint) + AnyVarint();
      case 6:
        return Tag(6, kVarint) + AnyVarint();
      case 7:
        return Tag(7, kVarint) + AnyVarint();
      case 8:
        return Tag(8, kDelimited) + Delimited(Place());
      default:
        return Tag(9, kFixed64) + Bytes().append(8, 'd').substr(0, 8);
    }
  });
}

std::string RandomMessages::Exchange() {
  return Fields(4, [&]() -> std::string {
    switch (Below(5)) {
      case 0:
        return Tag(1, kDelimited) + Delimited(Step(false));
      case 1:
        return Tag(2, kDelimited) + Delimited(Step(true));
      case 2:
        return Tag(3, kDelimited) + Delimited(Bytes());
      case 3:
        return Tag(4, kVarint) + AnyVarint();
      default:
        return Tag(5, kVarint) + AnyVarint();
    }
  });
}

std::string RandomMessages::Spoiled(std::string bytes) {
  for (std::uint64_t n = 1 + Below(3); n != 0; --n) {
    const std::size_t at = Below(bytes.size() + 1);
    switch (Below(4)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes.insert(at, 1, static_cast<char>(random_()));
        break;
      case 2:
        if (at < bytes.size()) bytes.erase(at, 1 + Below(3));
        break;
      default:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1u << Below(8)));
        break;
    }
  }
  return bytes;
}

std::string RandomMessages::Next(MessageType type) {
  std::string bytes =
      type == MessageType::kExchange ? Exchange() : Step(type == MessageType::kBackward);
  return OneIn(4) ? Spoiled(std::move(bytes)) : bytes;
}

std::vector<std::string_view> RandomMessages::Cut(std::string_view bytes) {
  std::vector<std::size_t> cuts = {0, bytes.size()};
  for (std::uint64_t n = Below(12); n != 0; --n) cuts.push_back(Below(bytes.size() + 1));
  std::sort(cuts.begin(), cuts.end());
  std::vector<std::string_view> fragments;
  for (std::size_t i = 1; i < cuts.size(); ++i) {
    fragments.push_back(bytes.substr(cuts[i - 1], cuts[i] - cuts[i - 1]));
  }
  return fragments;
}

}  // namespace dropoutd
