#include "server/service/field_count.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"

namespace dropoutd {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::io::CodedInputStream;
using Wire = google::protobuf::internal::WireFormatLite;

// Counts down from kMostFields.
class FieldCounter {
 public:
  explicit FieldCounter(CodedInputStream& in) : in_(in) {}

  // False at the first field too many, and at what does not parse.
  bool Take(const Descriptor& type, int depth) {
    while (const std::uint32_t tag = in_.ReadTag()) {
      if (left_ == 0) return false;
      --left_;
      if (!TakeField(tag, type, depth)) return false;
    }
    return true;
  }

  bool is_over() const { return left_ == 0; }

 private:
  bool TakeField(std::uint32_t tag, const Descriptor& type, int depth) {
    const FieldDescriptor* const field = type.FindFieldByNumber(Wire::GetTagFieldNumber(tag));
    const bool is_message = field != nullptr &&
                            field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
                            Wire::GetTagWireType(tag) == Wire::WIRETYPE_LENGTH_DELIMITED;
    if (!is_message || depth == 0) return Wire::SkipField(&in_, tag);
    int size = 0;
    if (!in_.ReadVarintSizeAsInt(&size)) return false;
    const CodedInputStream::Limit limit = in_.PushLimit(size);
    if (!Take(*field->message_type(), depth - 1)) return false;
    in_.PopLimit(limit);
    return true;
  }

  CodedInputStream& in_;
  std::size_t left_ = kMostFields;
};

}  // namespace

absl::Status CheckFieldCount(const grpc::ByteBuffer& message, const Descriptor& type) {
  if (message.Length() <= kSmallMessage) return absl::OkStatus();
  constexpr int kDepth = 16;  // Deeper than any message of the contract.
  grpc::ProtoBufferReader reader(const_cast<grpc::ByteBuffer*>(&message));
  CodedInputStream in(&reader);
  FieldCounter counter(in);
  counter.Take(type, kDepth);
  if (!counter.is_over()) return absl::OkStatus();
  return MakeError(Reason::kQuotaMessageBytes,
                   absl::StrCat("the request has more than ", kMostFields,
                                " fields, the most allowed; split it into several calls"));
}

}  // namespace dropoutd
