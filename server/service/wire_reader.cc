#include "server/service/wire_reader.h"

#include <bit>
#include <cstring>

#include "server/service/utf8.h"

namespace dropoutd {
namespace {

// Messages and groups within each other, as protobuf's default has it.
constexpr int kMaxDepth = 100;

constexpr int kMaxTagBytes = 5;
constexpr int kMaxSizeBytes = 5;
constexpr int kMaxVarintBytes = 10;

constexpr std::uint32_t TypeOf(std::uint32_t tag) { return tag & 7; }
constexpr std::uint32_t NumberOf(std::uint32_t tag) { return tag >> 3; }

}  // namespace

WireReader::WireReader(Fragments fragments) : fragment_(fragments.data()), depth_left_(kMaxDepth) {
  for (const std::string_view fragment : fragments) limit_ += fragment.size();
}

bool WireReader::ReadByte(std::uint8_t& byte) {
  if (position_ == limit_) return false;
  while (offset_ == fragment_->size()) {
    ++fragment_;
    offset_ = 0;
  }
  byte = static_cast<std::uint8_t>((*fragment_)[offset_++]);
  ++position_;
  return true;
}

void WireReader::Advance(std::size_t size) {
  position_ += size;
  for (std::size_t here = fragment_->size() - offset_; size > here; here = fragment_->size()) {
    size -= here;
    ++fragment_;
    offset_ = 0;
  }
  offset_ += size;
}

bool WireReader::ReadVarint(std::uint64_t& value) {
  value = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    std::uint8_t byte = 0;
    if (!ReadByte(byte)) return false;
    value |= std::uint64_t{byte & 0x7Fu} << (7 * i);
    if (byte < 0x80) return true;
  }
  return false;
}

bool WireReader::ReadTag(std::uint32_t& tag) {
  tag = 0;
  for (int i = 0; i < kMaxTagBytes; ++i) {
    std::uint8_t byte = 0;
    if (!ReadByte(byte)) return false;
    tag |= (byte & 0x7Fu) << (7 * i);
    if (byte < 0x80) return true;
  }
  return false;
}

bool WireReader::ReadSize(std::size_t& size) {
  size = 0;
  for (int i = 0; i < kMaxSizeBytes; ++i) {
    std::uint8_t byte = 0;
    if (!ReadByte(byte)) return false;
    size |= std::size_t{byte & 0x7Fu} << (7 * i);
    if (byte < 0x80) return size <= limit_ - position_;
  }
  return false;
}

bool WireReader::ReadDouble(double& value) {
  std::uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) {
    std::uint8_t byte = 0;
    if (!ReadByte(byte)) return false;
    bits |= std::uint64_t{byte} << (8 * i);
  }
  value = std::bit_cast<double>(bits);
  return true;
}

bool WireReader::ReadBytes(ByteRange& value) {
  std::size_t size = 0;
  if (!ReadSize(size)) return false;
  value = ByteRange(fragment_, offset_, size);
  Advance(size);
  return true;
}

bool WireReader::ReadString(std::string& value) {
  ByteRange bytes;
  if (!ReadBytes(bytes)) return false;
  value.resize(bytes.size());
  bytes.CopyTo(value.data());
  return IsUtf8(value);
}

bool WireReader::SkipGroup(std::uint32_t start_tag) {
  if (depth_left_ == 0) return false;
  --depth_left_;
  const std::uint32_t end_tag = WireTag(NumberOf(start_tag), kEndGroup);
  std::uint32_t tag = 0;
  while (ReadTag(tag)) {
    if (tag == end_tag) {
      ++depth_left_;
      return true;
    }
    if (!Skip(tag)) return false;
  }
  return false;
}

bool WireReader::Skip(std::uint32_t tag) {
  if (NumberOf(tag) == 0) return false;
  std::size_t size = 0;
  switch (TypeOf(tag)) {
    case kVarint: {
      std::uint64_t value = 0;
      return ReadVarint(value);
    }
    case kFixed64:
      size = 8;
      break;
    case kLengthDelimited:
      if (!ReadSize(size)) return false;
      break;
    case kStartGroup:
      return SkipGroup(tag);
    case kFixed32:
      size = 4;
      break;
    default:
      return false;
  }
  if (size > limit_ - position_) return false;
  Advance(size);
  return true;
}

}  // namespace dropoutd
