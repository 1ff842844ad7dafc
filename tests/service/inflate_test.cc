#include "server/service/inflate.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

#include "server/base/error.h"
#include "server/service/raw_buffer.h"
#include "tests/service/support.h"

namespace dropoutd {
namespace {

using testing_support::Flatten;
using testing_support::InSlices;

constexpr std::size_t kUnlimited = std::size_t{1} << 40;

std::string Gzip(const std::string& bytes) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// Bytes that compress, and are not all alike.
std::string Bytes(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * i >> 9);
  return bytes;
}

grpc::ByteBuffer Encoded(const std::string& bytes, std::size_t slice,
                         grpc_compression_algorithm encoding = GRPC_COMPRESS_GZIP) {
  grpc::ByteBuffer message = InSlices(bytes, slice, slice);
  RawBuffer(message)->data.raw.compression = encoding;
  return message;
}

class InflateTest : public testing::Test {
 protected:
  absl::Status Run(grpc::ByteBuffer& message, std::size_t most = kUnlimited) {
    charged_ = 0;
    return Inflate(message, most, [&](std::size_t bytes) {
      if (charged_ + bytes > may_charge_) return MakeError(Reason::kQuotaBytesInFlight, "no room");
      charged_ += bytes;
      return absl::OkStatus();
    });
  }

  std::size_t may_charge_ = kUnlimited;
  std::size_t charged_ = 0;
};

TEST_F(InflateTest, EverySizeInSlicesOfEverySize) {
  for (const std::size_t size : {0, 1, 63, 4095, 4096, 4097, 12287, 12288, 12289, 300'000}) {
    const std::string plain = Bytes(size);
    for (const std::size_t slice : {1, 7, 30, 1000, 1 << 20}) {
      grpc::ByteBuffer message = Encoded(Gzip(plain), slice);
      ASSERT_TRUE(Run(message).ok()) << size << " " << slice;
      ASSERT_EQ(Flatten(message), plain) << size << " " << slice;
      EXPECT_LE(size, charged_);
      // Little more is taken than comes out.
      EXPECT_LE(charged_, 3 * size + 4096);
    }
  }
}

TEST_F(InflateTest, WhatIsNotCompressedStaysAsItIs) {
  const std::string gzip = Gzip("not looked into");
  grpc::ByteBuffer plain = InSlices(gzip, 5, 5);
  grpc::ByteBuffer empty;
  for (grpc::ByteBuffer* const message : {&plain, &empty}) {
    EXPECT_TRUE(Run(*message, 1).ok());
    EXPECT_EQ(charged_, 0u);
  }
  EXPECT_EQ(Flatten(plain), gzip);
}

TEST_F(InflateTest, TheLimitIsExact) {
  const std::string gzip = Gzip(Bytes(100'000));
  for (const std::size_t slice : {1, 1 << 20}) {
    grpc::ByteBuffer fits = Encoded(gzip, slice);
    EXPECT_TRUE(Run(fits, 100'000).ok());
    grpc::ByteBuffer larger = Encoded(gzip, slice);
    EXPECT_EQ(ReasonOf(Run(larger, 99'999)), Reason::kQuotaMessageBytes);
  }
}

TEST_F(InflateTest, WhatPassesTheLimitIsNotInflated) {
  const std::string gzip = Gzip(std::string(64 << 20, '\0'));
  grpc::ByteBuffer message = Encoded(gzip, gzip.size());
  EXPECT_EQ(ReasonOf(Run(message, 1 << 20)), Reason::kQuotaMessageBytes);
  EXPECT_LE(charged_, std::size_t{4} << 20);
}

TEST_F(InflateTest, EachPieceIsChargedBeforeItIsTaken) {
  const std::string gzip = Gzip(Bytes(300'000));
  for (may_charge_ = 0; may_charge_ < 300'000; may_charge_ += 10'000) {
    grpc::ByteBuffer message = Encoded(gzip, 1000);
    EXPECT_EQ(ReasonOf(Run(message)), Reason::kQuotaBytesInFlight);
    EXPECT_LE(charged_, may_charge_);
  }
}

TEST_F(InflateTest, EveryCutAndEveryFlippedByteIsNoticed) {
  const std::string plain = Bytes(500);
  const std::string gzip = Gzip(plain);
  for (std::size_t size = 1; size < gzip.size(); ++size) {
    grpc::ByteBuffer cut = Encoded(gzip.substr(0, size), 9);
    EXPECT_EQ(ReasonOf(Run(cut)), Reason::kInvalidRequest) << size;
  }
  for (std::size_t at = 0; at < gzip.size(); ++at) {
    std::string flipped = gzip;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    grpc::ByteBuffer message = Encoded(flipped, 9);
    const absl::Status status = Run(message);
    // Some bits have no meaning: those of the time in the header.
    if (status.ok()) {
      EXPECT_EQ(Flatten(message), plain) << at;
    } else {
      EXPECT_EQ(ReasonOf(status), Reason::kInvalidRequest) << at;
    }
  }
}

TEST_F(InflateTest, OneMemberAndNothingBehindIt) {
  const std::string gzip = Gzip(Bytes(500));
  for (const std::string& more : {std::string(1, '\0'), gzip, std::string("\x1f\x8b")}) {
    for (const std::size_t slice : {std::size_t{1}, gzip.size(), 2 * gzip.size()}) {
      grpc::ByteBuffer message = Encoded(gzip + more, slice);
      EXPECT_EQ(ReasonOf(Run(message)), Reason::kInvalidRequest);
    }
  }
}

TEST_F(InflateTest, OtherEncodingsAreNamed) {
  grpc::ByteBuffer message = Encoded("bytes", 5, GRPC_COMPRESS_DEFLATE);
  const absl::Status status = Run(message);
  EXPECT_EQ(ReasonOf(status), Reason::kCompressionUnsupported);
  EXPECT_NE(status.message().find("deflate"), std::string::npos);
}

}  // namespace
}  // namespace dropoutd
