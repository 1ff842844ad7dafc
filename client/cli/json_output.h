// Answers as JSON: field names are those of the contract; enumerators are the words of the
// command line; 64-bit integers are texts, durations ("3600s") and times (RFC 3339) too, as in
// protobuf's JSON; a shape's sizes are numbers, which count elements that are there.
#ifndef DROPOUTD_CLIENT_CLI_JSON_OUTPUT_H_
#define DROPOUTD_CLIENT_CLI_JSON_OUTPUT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "dropout/types.h"

namespace dropout::cli {

using Json = nlohmann::ordered_json;

Json ToJson(const Layer& layer);
Json ToJson(const Session& session);
Json ToJson(const ServerInfo& info);
Json ToJson(const SharedMemory& region);

// {"dtype", "shape", "data"}: data is nested by axis. Numbers are the shortest that read
// back as the element; "NaN", "Infinity" and "-Infinity" are texts. `tensor` must have
// passed CheckTensor.
Json ToJson(const Tensor& tensor);

// {"shape", "scale", "sample_scales", "kept_share", "kept" (0 and 1, nested by axis)}, or
// "multipliers" in place of the last two. `mask` must have passed CheckMask.
Json ToJson(const Mask& mask);

// {"error": {"code", "reason", "message"}}.
Json ErrorJson(const std::string& code, const std::string& reason, const std::string& message);

// Indented text. Bytes that are not UTF-8 become U+FFFD.
std::string DumpJson(const Json& json);
std::string DumpJsonLine(const Json& json);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_JSON_OUTPUT_H_
