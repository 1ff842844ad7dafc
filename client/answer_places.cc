#include "client/answer_places.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dropout/v1/layer.pb.h"

namespace dropout {
namespace {

// Layers that are remembered; past it they are asked for anew.
constexpr std::size_t kMostKnown = 4096;

bool IsLinear(const v1::Layer& layer) {
  return layer.has_drop_connect() && layer.drop_connect().target() != v1::CONNECT_TARGET_WEIGHTS;
}

}  // namespace

AnswerPlaces::AnswerPlaces(GetSession get_session) : get_session_(std::move(get_session)) {}

absl::Status AnswerPlaces::Check(const StepCall& call) {
  if (call.place.data == nullptr) {
    if (call.place.byte_size == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "the place for the answer is null and has ", call.place.byte_size,
        " bytes: give memory of the answer's size, or null and 0 for an answer in the result"));
  }
  const Key key(call.session_id, call.layer_id);
  std::optional<Features> features;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = known_.find(key);
    if (found != known_.end()) features = found->second;
  }
  // What is known may have changed: only the server's word refuses a place.
  if (features.has_value() && CheckSize(call, *features).ok()) return absl::OkStatus();
  absl::StatusOr<std::optional<Features>> asked = Ask(key);
  if (!asked.ok()) return asked.status();
  return asked->has_value() ? CheckSize(call, **asked) : absl::OkStatus();
}

absl::StatusOr<std::optional<AnswerPlaces::Features>> AnswerPlaces::Ask(const Key& key) {
  const absl::StatusOr<v1::Session> session = get_session_(key.first);
  if (absl::IsNotFound(session.status())) return std::nullopt;
  if (!session.ok()) return session.status();
  for (const v1::Layer& layer : session->layers()) {
    if (layer.layer_id() != key.second) continue;
    Features features;
    if (IsLinear(layer)) {
      features = {layer.drop_connect().in_features(), layer.drop_connect().out_features()};
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    if (known_.size() >= kMostKnown) known_.clear();
    known_[key] = features;
    return features;
  }
  return std::nullopt;
}

absl::Status AnswerPlaces::CheckSize(const StepCall& call, const Features& features) {
  std::vector<std::int64_t> shape = call.tensor.shape;
  if (features.out != 0) {
    const std::int64_t from = call.is_forward ? features.in : features.out;
    const std::int64_t to = call.is_forward ? features.out : features.in;
    if (shape.empty() || shape.back() != from) return absl::OkStatus();  // The server refuses it.
    shape.back() = to;
  }
  const std::optional<std::size_t> size = ByteSizeOf(call.tensor.dtype, shape);
  if (!size.has_value()) return absl::OkStatus();
  return CheckPlace(call.place, *size);
}

}  // namespace dropout
