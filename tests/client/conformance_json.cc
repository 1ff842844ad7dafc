#include "tests/client/conformance_json.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <span>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/convert.h"
#include "dropout/client.h"
#include "tests/dropout/sha256.h"

namespace dropout {
namespace {

std::string Base64(const std::string& data) { return absl::Base64Escape(data); }

std::string FromBase64(const Json& json) {
  std::string data;
  if (!json.is_string() || !absl::Base64Unescape(json.get<std::string>(), &data)) {
    throw std::runtime_error("not base64: " + json.dump());
  }
  return data;
}

Json MessageJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) throw std::runtime_error(status.ToString());
  return Json::parse(text);
}

std::size_t ElementSizeOf(const Json& dtype) {
  v1::DataType value;
  if (!v1::DataType_Parse(dtype.get<std::string>(), &value)) {
    throw std::runtime_error("unknown dtype " + dtype.dump());
  }
  return ElementSize(static_cast<DataType>(value));
}

// Numbers of 64 bits are strings in protobuf's JSON, and so are infinities and NaN.
bool EqualNumber(const Json& expected, const Json& actual) {
  if (actual.is_string()) {
    return std::strtod(actual.get<std::string>().c_str(), nullptr) == expected.get<double>();
  }
  return actual.is_number() && actual.get<double>() == expected.get<double>();
}

// Elements of a float32 or float64 tensor.
std::vector<double> Elements(const Json& tensor) {
  const std::string data = FromBase64(tensor.at("data"));
  std::vector<double> values;
  const std::size_t size = ElementSizeOf(tensor.at("dtype"));
  for (std::size_t at = 0; at + size <= data.size(); at += size) {
    if (size == sizeof(double)) {
      double value;
      std::memcpy(&value, &data[at], size);
      values.push_back(value);
    } else if (size == sizeof(float)) {
      float value;
      std::memcpy(&value, &data[at], size);
      values.push_back(value);
    } else {
      throw std::runtime_error("tolerance is for float32 and float64");
    }
  }
  return values;
}

std::string TensorDifference(const Json& expected, const Json& actual, const std::string& path) {
  for (const char* name : {"dtype", "shape"}) {
    const std::string found =
        Difference(expected.at(name), actual.value(name, Json()), absl::StrCat(path, ".", name));
    if (!found.empty()) return found;
  }
  const std::vector<double> wanted = Elements(expected);
  const std::vector<double> got = Elements(actual);
  if (wanted.size() != got.size()) return path + " has another number of elements";
  const double tolerance = expected.at("tolerance").get<double>();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double allowed = tolerance * std::max(1.0, std::abs(wanted[i]));
    if (!(std::abs(wanted[i] - got[i]) <= allowed)) {
      return absl::StrCat(path, ": element ", i, " is ", got[i], ", not ", wanted[i]);
    }
  }
  return "";
}

std::string FieldDifference(const std::string& name, const Json& expected, const Json& actual,
                            const std::string& path) {
  const std::string suffix = "_sha256";
  if (name.size() <= suffix.size() || !name.ends_with(suffix)) {
    return Difference(expected, actual.value(name, Json()), absl::StrCat(path, ".", name));
  }
  const std::string field = name.substr(0, name.size() - suffix.size());
  const std::string data = FromBase64(actual.at(field));
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data.data());
  const std::string digest = dropoutd::Sha256(std::span(bytes, data.size()));
  if (digest == expected.get<std::string>()) return "";
  return absl::StrCat(path, ".", field, " has the SHA-256 ", digest);
}

}  // namespace

Json ToJson(const Tensor& tensor) {
  return {{"dtype", v1::DataType_Name(static_cast<v1::DataType>(tensor.dtype))},
          {"shape", tensor.shape},
          {"data", Base64(tensor.data)}};
}

Json ToJson(const Mask& mask) {
  Json json = {{"shape", mask.shape}, {"scale", mask.scale}, {"sample_scales", mask.sample_scales}};
  if (mask.multipliers.has_value()) {
    json["multipliers"] = ToJson(*mask.multipliers);
  } else {
    json["bits"] = Base64(mask.bits);
  }
  return json;
}

Json ToJson(const Layer& layer) {
  v1::Layer message;
  ToProto(layer, &message);
  Json json = MessageJson(message);
  json.emplace("p", 0.0);
  return json;
}

Json ToJson(const Session& session) {
  Json layers = Json::array();
  for (const Layer& layer : session.layers) layers.push_back(ToJson(layer));
  return {{"seed", std::to_string(session.seed)},
          {"mode", ToJson(session.mode)},
          {"layers", std::move(layers)}};
}

Json ToJson(const std::vector<Parameter>& parameters) {
  Json list = Json::array();
  for (const Parameter& parameter : parameters) {
    list.push_back({{"name", parameter.name}, {"value", ToJson(parameter.value)}});
  }
  return list;
}

Json ToJson(Mode mode) { return v1::Mode_Name(static_cast<v1::Mode>(mode)); }

Json ErrorJson(const absl::Status& status) {
  return {{"code", absl::StatusCodeToString(status.code())}, {"reason", ErrorReason(status)}};
}

Json Expanded(Json request) {
  for (const char* name : {"input", "output_gradient"}) {
    if (!request.contains(name) || !request[name].contains("repeat")) continue;
    Json& tensor = request[name];
    const std::string pattern = FromBase64(tensor["repeat"]);
    const auto shape = tensor["shape"].get<std::vector<std::size_t>>();
    const std::size_t size = std::accumulate(shape.begin(), shape.end(),
                                             ElementSizeOf(tensor["dtype"]), std::multiplies<>());
    std::string data(size, '\0');
    for (std::size_t i = 0; i < size; ++i) data[i] = pattern[i % pattern.size()];
    tensor["data"] = Base64(data);
    tensor.erase("repeat");
  }
  return request;
}

std::string Difference(const Json& expected, const Json& actual, const std::string& path) {
  const std::string both = absl::StrCat(path, " is ", actual.dump(), ", not ", expected.dump());
  if (expected.is_object()) {
    if (!actual.is_object()) return both;
    if (expected.contains("tolerance")) return TensorDifference(expected, actual, path);
    for (const auto& [name, value] : expected.items()) {
      std::string found = FieldDifference(name, value, actual, path);
      if (!found.empty()) return found;
    }
    return "";
  }
  if (expected.is_array()) {
    if (!actual.is_array() || actual.size() != expected.size()) return both;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      std::string found = Difference(expected[i], actual[i], absl::StrCat(path, "[", i, "]"));
      if (!found.empty()) return found;
    }
    return "";
  }
  if (expected.is_number()) return EqualNumber(expected, actual) ? "" : both;
  return expected == actual ? "" : both;
}

}  // namespace dropout
