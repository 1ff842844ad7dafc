// A received message's slices.
#ifndef DROPOUTD_SERVER_SERVICE_RECEIVED_H_
#define DROPOUTD_SERVER_SERVICE_RECEIVED_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "server/service/fragments.h"

namespace dropoutd {

// Whether `place` is one of the bytes.
inline bool IsIn(const void* place, std::string_view bytes) {
  const auto* const at = static_cast<const char*>(place);
  return !std::less<>()(at, bytes.data()) && std::less<>()(at, bytes.data() + bytes.size());
}

// A place of a received message, to be overwritten: gRPC copied the bytes from the socket for this
// message alone, and whoever answers it needs them no more.
inline void* Overwritable(const void* received) { return const_cast<void*>(received); }

// Overwrites a run of a received message's bytes.
inline void Overwrite(const ByteRange& received, const void* from) {
  const auto* source = static_cast<const char*>(from);
  received.ForEach([&](std::string_view piece) {
    std::memcpy(Overwritable(piece.data()), source, piece.size());
    source += piece.size();
  });
}

// Holds references to the slices of `bytes`, so that its fragments stay where they are
// for as long as it lives.
class Received {
 public:
  explicit Received(const grpc::ByteBuffer& bytes) {
    good_ = bytes.Dump(&slices_).ok();
    fragments_.reserve(slices_.size());
    for (const grpc::Slice& slice : slices_) {
      fragments_.emplace_back(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
  }
  Received(const Received&) = delete;  // A short slice's bytes lie in the slice itself.
  Received& operator=(const Received&) = delete;

  // Whether gRPC could read them.
  bool good() const { return good_; }
  Fragments fragments() const { return fragments_; }

  // The slices that `range`, which is of the fragments, lies in: a message of them shares its
  // memory.
  std::vector<grpc::Slice> SlicesOf(const ByteRange& range) const {
    std::vector<grpc::Slice> slices;
    slices.reserve(slices_.size() + 2);  // There are fields before and behind.
    std::size_t i = 0;
    range.ForEach([&](std::string_view piece) {
      while (!IsIn(piece.data(), fragments_[i])) ++i;
      const auto begin = static_cast<std::size_t>(piece.data() - fragments_[i].data());
      slices.push_back(slices_[i].sub(begin, begin + piece.size()));
    });
    return slices;
  }

 private:
  bool good_ = false;
  std::vector<grpc::Slice> slices_;
  std::vector<std::string_view> fragments_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_RECEIVED_H_
