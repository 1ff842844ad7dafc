#include "client/step_wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dropout/v1/tensor.pb.h"

namespace dropout {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;

// Pieces up to this are copied next to the fields: one slice costs less than two.
constexpr std::size_t kCopyUpTo = std::size_t{16} << 10;

std::uint32_t DelimitedTag(int number) {
  return WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

std::uint32_t VarintTag(int number) {
  return WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_VARINT);
}

// The head of a field of `size` bytes that follow.
std::string DelimitedHead(int number, std::uint64_t size) {
  std::string head;
  StringOutputStream stream(&head);
  CodedOutputStream out(&stream);
  out.WriteTag(DelimitedTag(number));
  out.WriteVarint64(size);
  return head;
}

// All of a request but the piece itself, which is its end.
std::string RequestHead(const std::string& fields, const TensorView& tensor,
                        std::size_t piece_size) {
  v1::Tensor tensor_fields;
  tensor_fields.set_dtype(static_cast<v1::DataType>(tensor.dtype));
  tensor_fields.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
  const std::string tensor_head =
      tensor_fields.SerializeAsString() + DelimitedHead(v1::Tensor::kDataFieldNumber, piece_size);
  return fields +
         DelimitedHead(v1::ForwardRequest::kInputFieldNumber, tensor_head.size() + piece_size) +
         tensor_head;
}
static_assert(int{v1::ForwardRequest::kInputFieldNumber} ==
              int{v1::BackwardRequest::kOutputGradientFieldNumber});

std::string FrameFields(const ExchangeFrame& frame) {
  v1::ExchangeRequest message;
  message.set_has_more(frame.has_more);
  message.set_operation(frame.operation);
  return message.SerializeAsString();
}

grpc::ByteBuffer Join(const std::string& head, Piece piece, MemoryLoan& loan) {
  if (piece.byte_size > kCopyUpTo) {
    const grpc::Slice slices[] = {grpc::Slice(head), loan.Lend(piece.data, piece.byte_size)};
    return grpc::ByteBuffer(slices, 2);
  }
  const grpc::Slice slice(head.size() + piece.byte_size);
  auto* const place = const_cast<std::uint8_t*>(slice.begin());
  std::memcpy(place, head.data(), head.size());
  if (piece.byte_size != 0) std::memcpy(place + head.size(), piece.data, piece.byte_size);
  return grpc::ByteBuffer(&slice, 1);
}

// Moves `size` bytes of the stream to where the answer's tensor goes.
bool ReadData(CodedInputStream& in, std::size_t size, OutputPlace place, StepAnswer* answer) {
  const std::size_t at = answer->received_bytes;
  answer->received_bytes += size;
  if (place.data != nullptr) {
    // The shape came first, and the place has its size. The bytes may still be more.
    return at <= place.byte_size && size <= place.byte_size - at &&
           in.ReadRaw(static_cast<char*>(place.data) + at, static_cast<int>(size));
  }
  std::string& data = answer->tensor.data;
  while (size != 0) {
    const void* chunk = nullptr;
    int chunk_size = 0;
    if (!in.GetDirectBufferPointer(&chunk, &chunk_size)) return false;
    chunk_size =
        static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(chunk_size), size));
    data.append(static_cast<const char*>(chunk), static_cast<std::size_t>(chunk_size));
    in.Skip(chunk_size);
    size -= static_cast<std::size_t>(chunk_size);
  }
  return true;
}

bool ReadLength(CodedInputStream& in, int* length) { return in.ReadVarintSizeAsInt(length); }

// Calls field(tag) for each field of the message that follows.
template <typename Field>
bool ReadMessage(CodedInputStream& in, Field field) {
  int length = 0;
  if (!ReadLength(in, &length)) return false;
  const auto limit = in.PushLimit(length);
  if (in.BytesUntilLimit() != length) return false;
  while (const std::uint32_t tag = in.ReadTag()) {
    if (!field(tag)) return false;
  }
  const bool whole = in.ConsumedEntireMessage();
  in.PopLimit(limit);
  return whole;
}

bool ReadShape(CodedInputStream& in, Tensor* tensor) {
  int length = 0;
  if (!ReadLength(in, &length)) return false;
  const auto limit = in.PushLimit(length);
  while (in.BytesUntilLimit() > 0) {
    std::uint64_t size = 0;
    if (!in.ReadVarint64(&size)) return false;
    tensor->shape.push_back(static_cast<std::int64_t>(size));
  }
  in.PopLimit(limit);
  return true;
}

bool ReadTensor(CodedInputStream& in, OutputPlace place, StepAnswer* answer) {
  // The shape comes first, so that the memory is asked for once.
  constexpr std::size_t kMostReserved = std::size_t{1} << 40;
  return ReadMessage(in, [&](std::uint32_t tag) {
    if (tag == VarintTag(v1::Tensor::kDtypeFieldNumber)) {
      std::uint32_t dtype = 0;
      if (!in.ReadVarint32(&dtype)) return false;
      answer->tensor.dtype = static_cast<DataType>(dtype);
      return true;
    }
    if (tag == DelimitedTag(v1::Tensor::kShapeFieldNumber)) return ReadShape(in, &answer->tensor);
    if (tag == DelimitedTag(v1::Tensor::kDataFieldNumber)) {
      int length = 0;
      if (!ReadLength(in, &length)) return false;
      const std::size_t whole = ByteSizeOf(answer->tensor.dtype, answer->tensor.shape).value_or(0);
      if (place.data == nullptr) {
        answer->tensor.data.reserve(whole < kMostReserved ? whole : 0);
      } else if (absl::Status fits = CheckPlace(place, whole); !fits.ok()) {
        answer->misfit = std::move(fits);
        return false;
      }
      return ReadData(in, static_cast<std::size_t>(length), place, answer);
    }
    return WireFormatLite::SkipField(&in, tag);
  });
}

bool KeepField(CodedInputStream& in, std::uint32_t tag, std::string* rest) {
  StringOutputStream stream(rest);
  CodedOutputStream out(&stream);
  return WireFormatLite::SkipField(&in, tag, &out);
}

// A field of ForwardResponse or BackwardResponse.
bool ReadAnswerField(CodedInputStream& in, std::uint32_t tag, OutputPlace place,
                     StepAnswer* answer) {
  static_assert(int{v1::ForwardResponse::kOutputFieldNumber} ==
                int{v1::BackwardResponse::kInputGradientFieldNumber});
  return tag == DelimitedTag(v1::ForwardResponse::kOutputFieldNumber)
             ? ReadTensor(in, place, answer)
             : KeepField(in, tag, &answer->rest);
}

bool ReadError(CodedInputStream& in, ExchangeHead* head) {
  int length = 0;
  std::string bytes;
  head->is_error = true;
  return ReadLength(in, &length) && in.ReadString(&bytes, length) &&
         head->error.ParseFromString(bytes);
}

bool ReadExchangeField(CodedInputStream& in, std::uint32_t tag, std::uint64_t operation,
                       OutputPlace place, StepAnswer* answer, ExchangeHead* head) {
  using Response = v1::ExchangeResponse;
  if (tag == DelimitedTag(Response::kForwardFieldNumber) ||
      tag == DelimitedTag(Response::kBackwardFieldNumber)) {
    return ReadMessage(
        in, [&](std::uint32_t field) { return ReadAnswerField(in, field, place, answer); });
  }
  if (tag == DelimitedTag(Response::kDataFieldNumber)) {
    int length = 0;
    return ReadLength(in, &length) && ReadData(in, static_cast<std::size_t>(length), place, answer);
  }
  if (tag == DelimitedTag(Response::kErrorFieldNumber)) return ReadError(in, head);
  if (tag == VarintTag(Response::kHasMoreFieldNumber)) {
    std::uint64_t value = 0;
    if (!in.ReadVarint64(&value)) return false;
    head->has_more = value != 0;
    return true;
  }
  if (tag == VarintTag(Response::kOperationFieldNumber)) {
    return in.ReadVarint64(&head->operation) && head->operation == operation;
  }
  return WireFormatLite::SkipField(&in, tag);
}

absl::Status NotRead(const StepAnswer& answer) {
  if (!answer.misfit.ok()) return answer.misfit;
  return absl::InternalError("the answer does not parse, or is of another operation");
}

// Calls field(stream, tag) for each field of a whole message.
template <typename Field>
bool ReadAll(const grpc::ByteBuffer& bytes, Field field) {
  grpc::ProtoBufferReader reader(const_cast<grpc::ByteBuffer*>(&bytes));
  if (!reader.status().ok()) return false;
  CodedInputStream in(&reader);
  while (const std::uint32_t tag = in.ReadTag()) {
    if (!field(in, tag)) return false;
  }
  return in.ConsumedEntireMessage();
}

}  // namespace

grpc::ByteBuffer RequestBytes(const std::string& fields, const TensorView& tensor, Piece piece,
                              MemoryLoan& loan) {
  return Join(RequestHead(fields, tensor, piece.byte_size), piece, loan);
}

grpc::ByteBuffer ExchangeBytes(int number, const std::string& fields, const TensorView& tensor,
                               Piece piece, const ExchangeFrame& frame, MemoryLoan& loan) {
  const std::string head = RequestHead(fields, tensor, piece.byte_size);
  // The frame first, so that the piece ends the message.
  return Join(FrameFields(frame) + DelimitedHead(number, head.size() + piece.byte_size) + head,
              piece, loan);
}

grpc::ByteBuffer ExchangeDataBytes(Piece piece, const ExchangeFrame& frame, MemoryLoan& loan) {
  return Join(
      FrameFields(frame) + DelimitedHead(v1::ExchangeRequest::kDataFieldNumber, piece.byte_size),
      piece, loan);
}

std::optional<std::size_t> ByteSizeOf(DataType dtype, const std::vector<std::int64_t>& shape) {
  std::size_t size = ElementSize(dtype);
  if (size == 0) return std::nullopt;
  for (const std::int64_t axis : shape) {
    if (axis < 0 || __builtin_mul_overflow(size, static_cast<std::size_t>(axis), &size)) {
      return std::nullopt;
    }
  }
  return size;
}

absl::Status CheckPlace(OutputPlace place, std::size_t answer_size) {
  if (place.byte_size == answer_size) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the place for the answer has ", place.byte_size,
                                                 " bytes, must have the answer's ", answer_size));
}

absl::Status ReadAnswer(const grpc::ByteBuffer& bytes, OutputPlace place, StepAnswer* answer) {
  const bool good = ReadAll(bytes, [&](CodedInputStream& in, std::uint32_t tag) {
    return ReadAnswerField(in, tag, place, answer);
  });
  return good ? absl::OkStatus() : NotRead(*answer);
}

absl::Status ReadExchange(const grpc::ByteBuffer& bytes, std::uint64_t operation, OutputPlace place,
                          StepAnswer* answer, ExchangeHead* head) {
  const bool good = ReadAll(bytes, [&](CodedInputStream& in, std::uint32_t tag) {
    return ReadExchangeField(in, tag, operation, place, answer, head);
  });
  return good ? absl::OkStatus() : NotRead(*answer);
}

}  // namespace dropout
