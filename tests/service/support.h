// What the tests of the service share: an engine with a layer, and messages in slices.
#ifndef DROPOUTD_TESTS_SERVICE_SUPPORT_H_
#define DROPOUTD_TESTS_SERVICE_SUPPORT_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "dropout/v1/step.pb.h"
#include "server/engine/engine.h"
#include "server/memory/buffer_pool.h"
#include "server/service/call_gate.h"
#include "server/service/step_operation.h"

namespace dropoutd::testing_support {

inline constexpr char kSession[] = "s";
inline constexpr char kLayer[] = "drop";

// An engine with the session "s" and its layer "drop", p = 0.3.
// Memory without a ledger.
inline absl::Status ReserveAnything(std::size_t) { return absl::OkStatus(); }

inline absl::StatusOr<grpc::ByteBuffer> AnswerStep(const StepResources& resources, StepKind kind,
                                                   std::string_view tenant,
                                                   const grpc::ByteBuffer& request) {
  return AnswerStep(resources, kind, tenant, request, ReserveAnything);
}

class EngineFixture {
 public:
  explicit EngineFixture(const Limits& limits = Limits()) : engine(limits), pool(64 << 20) {
    SessionSpec spec;
    spec.session_id = kSession;
    spec.seed = 7;
    spec.layers.resize(1);
    spec.layers[0].layer_id = kLayer;
    spec.layers[0].p = 0.3;
    status = engine.CreateSession(spec).status();
  }

  StepResources Resources() { return {engine, pool, workers, std::size_t{64} << 20}; }

  Engine engine;
  BufferPool pool;
  Workers workers{2};
  absl::Status status;
};

// Admits everybody.
class OpenGate final : public CallGate {
 public:
  absl::Status Enter(GatedCall&) override { return absl::OkStatus(); }
  void Answer(const GatedCall&, const absl::Status&) override {}
  void Leave(const GatedCall&) override {}
  absl::Status Charge(const GatedCall&, std::size_t) override { return absl::OkStatus(); }
  void Refund(const GatedCall&, std::size_t) override {}
};

// `count` floats that differ.
inline std::string Floats(std::size_t count) {
  std::string bytes(count * 4, '\0');
  auto* const values = reinterpret_cast<float*>(bytes.data());
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i) + 0.5f;
  return bytes;
}

inline dropout::v1::ForwardRequest ForwardRequest(std::uint64_t step, std::size_t count,
                                                  const std::string& data) {
  dropout::v1::ForwardRequest request;
  request.set_session_id(kSession);
  request.set_layer_id(kLayer);
  request.set_step(step);
  auto& input = *request.mutable_input();
  input.set_dtype(dropout::v1::DATA_TYPE_FLOAT32);
  input.add_shape(static_cast<std::int64_t>(count));
  input.set_data(data);
  return request;
}

// `bytes` in slices of `length`, the first of them of `first`.
inline grpc::ByteBuffer InSlices(const std::string& bytes, std::size_t first, std::size_t length) {
  std::vector<grpc::Slice> slices;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = std::min(at == 0 ? first : length, bytes.size() - at);
    slices.emplace_back(bytes.data() + at, size);
    at += size;
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

inline std::string Flatten(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return {};
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// What a generated client reads.
template <typename Message>
Message Parsed(const grpc::ByteBuffer& buffer) {
  Message message;
  message.ParseFromString(Flatten(buffer));
  return message;
}

}  // namespace dropoutd::testing_support

#endif  // DROPOUTD_TESTS_SERVICE_SUPPORT_H_
