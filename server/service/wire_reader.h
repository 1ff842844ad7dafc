// Reads protobuf's wire format from fragments, as strictly and as leniently as the parsers
// that protoc 3.21 generates.
//
// Every Read returns false where the bytes are not what was asked for, or end too soon;
// the message is then to be refused as a whole. Not thread-safe.
#ifndef DROPOUTD_SERVER_SERVICE_WIRE_READER_H_
#define DROPOUTD_SERVER_SERVICE_WIRE_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "server/service/fragments.h"

namespace dropoutd {

enum WireType : std::uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kLengthDelimited = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5,
};

// A field's number and wire type, as they stand before it.
constexpr std::uint32_t WireTag(std::uint32_t number, WireType type) { return number << 3 | type; }

class WireReader {
 public:
  // Refers to the fragments.
  explicit WireReader(Fragments fragments);

  // Calls field(tag) -> bool for each field up to the end of the message at hand. `field`
  // reads the field's value or skips it.
  template <typename Field>
  bool ReadFields(Field field) {
    while (position_ != limit_) {
      std::uint32_t tag = 0;
      if (!ReadTag(tag) || !field(tag)) return false;
    }
    return true;
  }

  // The same for a message within the message.
  template <typename Field>
  bool ReadMessage(Field field) {
    std::size_t size = 0;
    if (!ReadSize(size) || depth_left_ == 0) return false;
    const std::size_t outer_limit = limit_;
    limit_ = position_ + size;
    --depth_left_;
    const bool good = ReadFields(field);
    ++depth_left_;
    limit_ = outer_limit;
    return good;
  }

  // Modulo 2^64, in at most ten bytes.
  bool ReadVarint(std::uint64_t& value);
  bool ReadDouble(double& value);

  // A string must be UTF-8.
  bool ReadString(std::string& value);

  // Bytes, which stay where they are.
  bool ReadBytes(ByteRange& value);

  // Calls element(value) for each varint of a packed field.
  template <typename Element>
  bool ReadPackedVarints(Element element) {
    std::size_t size = 0;
    if (!ReadSize(size)) return false;
    const std::size_t end = position_ + size;
    while (position_ < end) {
      std::uint64_t value = 0;
      if (!ReadVarint(value)) return false;
      element(value);
    }
    return position_ == end;
  }

  // Passes the value that follows `tag`. False for tags that no value may have.
  bool Skip(std::uint32_t tag);

 private:
  bool ReadTag(std::uint32_t& tag);
  bool ReadByte(std::uint8_t& byte);

  // A length that the message at hand still has.
  bool ReadSize(std::size_t& size);
  bool SkipGroup(std::uint32_t start_tag);

  // Goes `size` bytes on, which are there.
  void Advance(std::size_t size);

  const std::string_view* fragment_;
  std::size_t offset_ = 0;    // In *fragment_.
  std::size_t position_ = 0;  // In the whole message.
  std::size_t limit_ = 0;     // End of the message at hand.
  int depth_left_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_WIRE_READER_H_
