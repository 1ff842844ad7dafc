// Whether the place of the caller's for an answer has the answer's size.
#ifndef DROPOUTD_CLIENT_ANSWER_PLACES_H_
#define DROPOUTD_CLIENT_ANSWER_PLACES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/step_call.h"
#include "dropout/v1/session.pb.h"

namespace dropout {

// Knows how the size of a layer's answer follows from the tensor that it gets, and asks the server
// for the layer when it does not know, or when a place does not fit. Thread-safe.
class AnswerPlaces {
 public:
  using GetSession = std::function<absl::StatusOr<v1::Session>(const std::string& session_id)>;

  explicit AnswerPlaces(GetSession get_session);

  // INVALID_ARGUMENT if the answer would have another size than call.place. OK where the server
  // will refuse the call itself: for a layer that is not there, or that takes no such tensor.
  absl::Status Check(const StepCall& call);

 private:
  // The last axis of input and output, where a layer changes it; else 0.
  struct Features {
    std::int64_t in = 0;
    std::int64_t out = 0;
  };
  using Key = std::pair<std::string, std::string>;  // Session and layer.

  // Empty where there is no such layer.
  absl::StatusOr<std::optional<Features>> Ask(const Key& key);
  static absl::Status CheckSize(const StepCall& call, const Features& features);

  const GetSession get_session_;
  std::mutex mutex_;
  std::map<Key, Features> known_;
};

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_ANSWER_PLACES_H_
