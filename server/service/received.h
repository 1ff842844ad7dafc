// A received message's slices.
#ifndef DROPOUTD_SERVER_SERVICE_RECEIVED_H_
#define DROPOUTD_SERVER_SERVICE_RECEIVED_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <string_view>
#include <vector>

#include "server/service/fragments.h"

namespace dropoutd {

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

 private:
  bool good_ = false;
  std::vector<grpc::Slice> slices_;
  std::vector<std::string_view> fragments_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_RECEIVED_H_
