// The fields that stand before a tensor's bytes in an answer.
#ifndef DROPOUTD_SERVER_SERVICE_ANSWER_HEAD_H_
#define DROPOUTD_SERVER_SERVICE_ANSWER_HEAD_H_

#include <cstddef>
#include <cstdint>

#include "server/dropout/data_type.h"
#include "server/dropout/shape.h"
#include "server/service/step_message.h"
#include "server/service/wire_writer.h"

namespace dropoutd {

// ForwardResponse or BackwardResponse up to the bytes of its tensor, of which `data_size`
// follow.
WireWriter AnswerHead(DataType dtype, const Shape& shape, std::size_t data_size);

// The same for a tensor that lies in shared memory: nothing of it follows. The region's id
// has at most 64 bytes.
WireWriter AnswerHead(DataType dtype, const Shape& shape, const PlaceMessage& place);

// The fields that every ExchangeResponse has.
struct ExchangeFrame {
  std::uint64_t operation = 0;
  bool has_more = false;
};

// Puts an answer of `kind` into an ExchangeResponse: `head` is its head, and `rest_size`
// bytes of it follow.
WireWriter InExchange(StepKind kind, const WireWriter& head, std::size_t rest_size,
                      const ExchangeFrame& frame);

// The head of an ExchangeResponse of `data_size` bytes of data.
WireWriter ExchangeDataHead(std::size_t data_size, const ExchangeFrame& frame);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_ANSWER_HEAD_H_
