#include "client/shared_call.h"

#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "dropout/v1/tensor.pb.h"

namespace dropout {
namespace {

// A region of the library's own for one call. It goes back when the call has ended, unless
// the server no longer has it.
class Staging {
 public:
  explicit Staging(SharedRegions& regions) : regions_(regions) {}
  ~Staging() {
    if (region_ != nullptr) regions_.Return(std::move(region_));
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  absl::Status Take(const std::string& session_id, std::size_t byte_size) {
    absl::StatusOr<std::shared_ptr<MappedRegion>> region = regions_.Take(session_id, byte_size);
    if (!region.ok()) return region.status();
    region_ = *std::move(region);
    return absl::OkStatus();
  }
  void Drop() { region_ = nullptr; }
  const std::shared_ptr<MappedRegion>& region() const { return region_; }

 private:
  SharedRegions& regions_;
  std::shared_ptr<MappedRegion> region_;
};

using Found = SharedRegions::Found;

v1::SharedMemoryRef RefTo(const Found& place) {
  v1::SharedMemoryRef message;
  message.set_region_id(place.region->region_id());
  message.set_offset(static_cast<std::int64_t>(place.offset));
  return message;
}

// The request with its places; `output` may be none: then the answer has the bytes.
grpc::ByteBuffer Request(const StepCall& call, const Found& input,
                         const std::optional<Found>& output) {
  // Fields that both requests number alike.
  v1::ForwardRequest places;
  v1::Tensor& tensor = *places.mutable_input();
  tensor.set_dtype(static_cast<v1::DataType>(call.tensor.dtype));
  tensor.mutable_shape()->Assign(call.tensor.shape.begin(), call.tensor.shape.end());
  *tensor.mutable_shared_memory() = RefTo(input);
  if (output.has_value()) *places.mutable_output() = RefTo(*output);
  static_assert(int{v1::ForwardRequest::kOutputFieldNumber} ==
                int{v1::BackwardRequest::kOutputFieldNumber});
  grpc::Slice slice(call.fields + places.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

// Moves the answer from its region to where the caller wants it. Its size is its own, which may be
// neither the request's nor the place's.
absl::Status Deliver(const Found& output, const StepCall& call, StepAnswer* answer) {
  const std::optional<std::size_t> size = ByteSizeOf(answer->tensor.dtype, answer->tensor.shape);
  if (!size.has_value() || *size > output.region->size() - output.offset) {
    return absl::InternalError("the answer does not fit the region that it is in");
  }
  const char* const data = output.region->data() + output.offset;
  if (call.place.data == nullptr) {
    answer->tensor.data.assign(data, *size);
  } else {
    if (absl::Status fits = CheckPlace(call.place, *size); !fits.ok()) return fits;
    if (call.place.data != data && *size != 0) std::memcpy(call.place.data, data, *size);
  }
  answer->received_bytes = *size;
  return absl::OkStatus();
}

bool IsRegionGone(const absl::Status& status) { return ErrorReason(status) == "REGION_NOT_FOUND"; }

// Whether the server is done with the call's regions and still has them.
bool IsRegionFree(const absl::StatusOr<StepAnswer>& answer) {
  if (answer.ok()) return true;
  const std::string reason = ErrorReason(answer.status());
  return !reason.empty() && reason != "REGION_NOT_FOUND" && reason != "REGION_BROKEN" &&
         reason != "SESSION_NOT_FOUND";
}

absl::StatusOr<StepAnswer> CallOnce(Connection& connection, SharedRegions& regions,
                                    const StepCall& call, TimeLeft time_left) {
  const std::size_t size = call.tensor.byte_size;
  Staging staging(regions);
  std::optional<Found> input = regions.Find(call.session_id, call.tensor.data, size);
  std::optional<Found> output;
  if (call.place.data != nullptr && call.place.byte_size == size) {
    output = regions.Find(call.session_id, call.place.data, size);
  }
  if (!input.has_value() || !output.has_value()) {
    if (absl::Status status = staging.Take(call.session_id, size); !status.ok()) return status;
  }
  if (!input.has_value()) {
    if (size != 0) std::memcpy(staging.region()->data(), call.tensor.data, size);
    input = Found{staging.region(), 0};
  }
  if (!output.has_value()) output = Found{staging.region(), 0};
  const std::shared_ptr<Channel> channel = connection.channel();
  absl::StatusOr<StepAnswer> answer =
      CallUnary(*channel, call, Request(call, *input, output), time_left);
  if (!answer.ok() && ErrorReason(answer.status()) == "INVALID_TENSOR") {
    // A layer whose answer has another size than its input: it comes in the message.
    answer = CallUnary(*channel, call, Request(call, *input, std::nullopt), time_left);
  } else if (answer.ok()) {
    if (absl::Status delivered = Deliver(*output, call, &*answer); !delivered.ok()) {
      return delivered;
    }
  }
  if (!IsRegionFree(answer)) staging.Drop();
  return answer;
}

}  // namespace

absl::StatusOr<StepAnswer> CallShared(Connection& connection, SharedRegions& regions,
                                      const StepCall& call, TimeLeft time_left) {
  absl::StatusOr<StepAnswer> answer = CallOnce(connection, regions, call, time_left);
  if (answer.ok() || !IsRegionGone(answer.status())) return answer;
  // The session was made anew, or by another server: so are its regions.
  regions.Forget(call.session_id);
  return CallOnce(connection, regions, call, time_left);
}

}  // namespace dropout
