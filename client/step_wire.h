// The messages that carry tensors, serialised around the tensor's bytes instead of with
// them.
#ifndef DROPOUTD_CLIENT_STEP_WIRE_H_
#define DROPOUTD_CLIENT_STEP_WIRE_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/memory_loan.h"
#include "dropout/types.h"
#include "dropout/v1/step.pb.h"
#include "dropout/v1/transport.pb.h"

namespace dropout {

// Where the bytes of an answer's tensor go: to memory of the caller's, or to the tensor.
struct OutputPlace {
  void* data = nullptr;  // Null: to the tensor.
  std::size_t byte_size = 0;
};

// The byte size of a tensor of this type and shape; nothing for an unknown type, a negative
// dimension, or a size that overflows.
std::optional<std::size_t> ByteSizeOf(DataType dtype, const std::vector<std::int64_t>& shape);

// INVALID_ARGUMENT if memory of the caller's has not exactly the answer's size.
absl::Status CheckPlace(OutputPlace place, std::size_t answer_size);

// The answer to a Forward or Backward, while it arrives.
struct StepAnswer {
  Tensor tensor;                   // Without bytes where they go to the caller's memory.
  std::size_t received_bytes = 0;  // Of the tensor, wherever they went.
  std::string rest;                // The message's other fields, serialised.
  absl::Status misfit;             // That the caller's memory has not the answer's size.
};

// A piece of a tensor's bytes.
struct Piece {
  const void* data = nullptr;
  std::size_t byte_size = 0;
};

// `fields` (a ForwardRequest or BackwardRequest without its tensor, serialised) with the
// tensor of which `piece` is the first. Small pieces are copied, others lent by `loan`.
grpc::ByteBuffer RequestBytes(const std::string& fields, const TensorView& tensor, Piece piece,
                              MemoryLoan& loan);

// The fields that every ExchangeRequest has.
struct ExchangeFrame {
  std::uint64_t operation = 0;
  bool has_more = false;
};

// The same as the first message of an operation in an Exchange. `number` is the field of
// ExchangeRequest.
grpc::ByteBuffer ExchangeBytes(int number, const std::string& fields, const TensorView& tensor,
                               Piece piece, const ExchangeFrame& frame, MemoryLoan& loan);

// A further message of an operation.
grpc::ByteBuffer ExchangeDataBytes(Piece piece, const ExchangeFrame& frame, MemoryLoan& loan);

// Reads a ForwardResponse or BackwardResponse. INTERNAL if it does not parse, INVALID_ARGUMENT if
// the answer's size is not that of `place`, of which nothing is written then.
absl::Status ReadAnswer(const grpc::ByteBuffer& bytes, OutputPlace place, StepAnswer* answer);

// What an ExchangeResponse says beside its part of the answer; `error` is set if it is one.
struct ExchangeHead {
  std::uint64_t operation = 0;
  bool has_more = false;
  bool is_error = false;
  v1::Error error;
};

// Reads a message of an Exchange's answer to `operation`. Errors as ReadAnswer, and INTERNAL if it
// answers another operation: then nothing of it is kept, unless its number comes behind its data.
// Servers of before answer no number.
absl::Status ReadExchange(const grpc::ByteBuffer& bytes, std::uint64_t operation, OutputPlace place,
                          StepAnswer* answer, ExchangeHead* head);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_STEP_WIRE_H_
