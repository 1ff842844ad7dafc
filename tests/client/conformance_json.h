// The client's values and protobuf's JSON, in which the conformance cases are written.
#ifndef DROPOUTD_TESTS_CLIENT_CONFORMANCE_JSON_H_
#define DROPOUTD_TESTS_CLIENT_CONFORMANCE_JSON_H_

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dropout/types.h"

namespace dropout {

using Json = nlohmann::json;

// Throws std::runtime_error if `json` does not fit the message.
template <typename Message>
Message ParseMessage(const Json& json) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(json.dump(), &message);
  if (!status.ok()) throw std::runtime_error(status.ToString());
  return message;
}

Json ToJson(const Tensor& tensor);
Json ToJson(const Mask& mask);
Json ToJson(const Layer& layer);
Json ToJson(const Session& session);
Json ToJson(const std::vector<Parameter>& parameters);
Json ToJson(Mode mode);

// {"code": ..., "reason": ...}.
Json ErrorJson(const absl::Status& status);

// The request with `repeat` written out as `data`.
Json Expanded(Json request);

// What is wrong with the fields that `expected` names; empty: nothing.
std::string Difference(const Json& expected, const Json& actual, const std::string& path);

}  // namespace dropout

#endif  // DROPOUTD_TESTS_CLIENT_CONFORMANCE_JSON_H_
