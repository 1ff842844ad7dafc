#include "server/service/inflate.h"

#include <grpc/compression.h>
#include <grpcpp/support/slice.h>
#include <zlib.h>

#include <algorithm>
#include <new>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/service/raw_buffer.h"

namespace dropoutd {
namespace {

// The inflated bytes go into slices, each twice the one before up to the largest: no length that a
// client claims is trusted, and little more than what comes out is taken.
constexpr std::size_t kFirstSlice = std::size_t{4} << 10;
constexpr std::size_t kLargestSlice = std::size_t{1} << 20;

// zlib's number for a window of any size behind a gzip header.
constexpr int kGzipWindow = 16 + MAX_WBITS;

// gRPC keeps it with the message.
grpc_compression_algorithm EncodingOf(const grpc::ByteBuffer& message) {
  return message.Valid() ? RawBuffer(message)->data.raw.compression : GRPC_COMPRESS_NONE;
}

absl::Status NotGzip() {
  return MakeError(Reason::kInvalidRequest,
                   "the request does not inflate: it must be one gzip member, whole, with nothing "
                   "behind it");
}

class Inflater {
 public:
  Inflater(std::size_t most, absl::FunctionRef<absl::Status(std::size_t)> charge)
      : most_(most), charge_(charge) {
    if (inflateInit2(&stream_, kGzipWindow) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  absl::Status Feed(const grpc::Slice& slice) {
    stream_.next_in = const_cast<Bytef*>(slice.begin());
    stream_.avail_in = static_cast<uInt>(slice.size());  // A message has less than 4 GiB.
    while (stream_.avail_in != 0) {
      if (ended_) return NotGzip();
      DROPOUTD_RETURN_IF_ERROR(Step());
    }
    return absl::OkStatus();
  }

  // What came out, once all has been fed.
  absl::Status Finish(grpc::ByteBuffer& message) {
    // Where the room ended with the input, zlib may have more to put out.
    while (!ended_ && stream_.avail_out == 0) DROPOUTD_RETURN_IF_ERROR(Step());
    if (!ended_) return NotGzip();
    if (!slices_.empty()) {
      grpc::Slice& last = slices_.back();
      last = last.sub(0, last.size() - stream_.avail_out);
    }
    message = grpc::ByteBuffer(slices_.data(), slices_.size());
    return absl::OkStatus();
  }

 private:
  absl::Status Step() {
    if (stream_.avail_out == 0) DROPOUTD_RETURN_IF_ERROR(Grow());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    // There was room for output, and input or the rest of what it means: Z_OK is progress.
    if (result != Z_OK && result != Z_STREAM_END) return NotGzip();
    ended_ = result == Z_STREAM_END;
    if (stream_.total_out <= most_) return absl::OkStatus();
    return MakeError(Reason::kQuotaMessageBytes,
                     absl::StrCat("the request inflates to more than ", most_,
                                  " bytes, the most allowed (--max_message_bytes)"));
  }

  absl::Status Grow() {
    DROPOUTD_RETURN_IF_ERROR(charge_(next_size_));
    const grpc::Slice& slice = slices_.emplace_back(next_size_);
    stream_.next_out = const_cast<Bytef*>(slice.begin());
    stream_.avail_out = static_cast<uInt>(next_size_);
    next_size_ = std::min(2 * next_size_, kLargestSlice);
    return absl::OkStatus();
  }

  const std::size_t most_;
  const absl::FunctionRef<absl::Status(std::size_t)> charge_;
  z_stream stream_ = {};
  bool ended_ = false;  // The gzip member.
  std::vector<grpc::Slice> slices_;
  std::size_t next_size_ = kFirstSlice;
};

// The name is one that gRPC knows: it takes others for identity.
absl::Status Unsupported(grpc_compression_algorithm encoding) {
  const char* name = "";
  grpc_compression_algorithm_name(encoding, &name);
  return MakeError(Reason::kCompressionUnsupported,
                   absl::StrCat("grpc-encoding: ", name, ", must be identity or gzip"));
}

}  // namespace

absl::Status Inflate(grpc::ByteBuffer& message, std::size_t most,
                     absl::FunctionRef<absl::Status(std::size_t)> charge) {
  const grpc_compression_algorithm encoding = EncodingOf(message);
  if (encoding == GRPC_COMPRESS_NONE || message.Length() == 0) return absl::OkStatus();
  if (encoding != GRPC_COMPRESS_GZIP) return Unsupported(encoding);
  std::vector<grpc::Slice> compressed;
  if (!message.Dump(&compressed).ok()) return NotGzip();
  Inflater inflater(most, charge);
  for (const grpc::Slice& slice : compressed) DROPOUTD_RETURN_IF_ERROR(inflater.Feed(slice));
  return inflater.Finish(message);
}

}  // namespace dropoutd
