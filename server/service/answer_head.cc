#include "server/service/answer_head.h"

#include "dropout/v1/step.pb.h"
#include "dropout/v1/tensor.pb.h"
#include "dropout/v1/transport.pb.h"
#include "server/service/convert.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;

static_assert(int{v1::ForwardResponse::kOutputFieldNumber} ==
              int{v1::BackwardResponse::kInputGradientFieldNumber});

// Of a tensor: its type and shape.
void WriteTypeAndShape(WireWriter& out, DataType dtype, const Shape& shape) {
  out.VarintField(v1::Tensor::kDtypeFieldNumber, static_cast<std::uint64_t>(ToProto(dtype)));
  if (shape.rank() == 0) return;
  std::size_t packed_size = 0;
  for (const std::int64_t size : shape.sizes()) {
    packed_size += VarintSize(static_cast<std::uint64_t>(size));
  }
  out.DelimitedHead(v1::Tensor::kShapeFieldNumber, packed_size);
  for (const std::int64_t size : shape.sizes()) out.Varint(static_cast<std::uint64_t>(size));
}

// The answer's tensor field, of which `tensor` is the beginning.
WireWriter TensorField(const WireWriter& tensor, std::size_t data_size) {
  WireWriter head;
  head.DelimitedHead(v1::ForwardResponse::kOutputFieldNumber, tensor.size() + data_size);
  head.Raw(tensor.bytes());
  return head;
}

void WriteFrame(WireWriter& out, const ExchangeFrame& frame) {
  if (frame.has_more) out.VarintField(v1::ExchangeResponse::kHasMoreFieldNumber, 1);
  if (frame.operation != 0) {
    out.VarintField(v1::ExchangeResponse::kOperationFieldNumber, frame.operation);
  }
}

}  // namespace

WireWriter AnswerHead(DataType dtype, const Shape& shape, std::size_t data_size) {
  WireWriter tensor;
  WriteTypeAndShape(tensor, dtype, shape);
  tensor.DelimitedHead(v1::Tensor::kDataFieldNumber, data_size);
  return TensorField(tensor, data_size);
}

WireWriter AnswerHead(DataType dtype, const Shape& shape, const PlaceMessage& place) {
  WireWriter reference;
  reference.DelimitedHead(v1::SharedMemoryRef::kRegionIdFieldNumber, place.region_id.size());
  reference.Raw(place.region_id);
  if (place.offset != 0) {
    reference.VarintField(v1::SharedMemoryRef::kOffsetFieldNumber,
                          static_cast<std::uint64_t>(place.offset));
  }
  WireWriter tensor;
  WriteTypeAndShape(tensor, dtype, shape);
  tensor.DelimitedHead(v1::Tensor::kSharedMemoryFieldNumber, reference.size());
  tensor.Raw(reference.bytes());
  return TensorField(tensor, 0);
}

WireWriter InExchange(StepKind kind, const WireWriter& head, std::size_t rest_size,
                      const ExchangeFrame& frame) {
  WireWriter message;
  WriteFrame(message, frame);
  message.DelimitedHead(kind == StepKind::kForward ? v1::ExchangeResponse::kForwardFieldNumber
                                                   : v1::ExchangeResponse::kBackwardFieldNumber,
                        head.size() + rest_size);
  message.Raw(head.bytes());
  return message;
}

WireWriter ExchangeDataHead(std::size_t data_size, const ExchangeFrame& frame) {
  WireWriter message;
  WriteFrame(message, frame);
  message.DelimitedHead(v1::ExchangeResponse::kDataFieldNumber, data_size);
  return message;
}

}  // namespace dropoutd
