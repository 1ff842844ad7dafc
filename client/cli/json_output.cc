#include "client/cli/json_output.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "client/cli/duration.h"
#include "client/cli/elements.h"
#include "client/cli/enum_names.h"
#include "client/cli/mask_grid.h"
#include "client/cli/variant_fields.h"

namespace dropout::cli {
namespace {

Json Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return value;
}

// A 64-bit integer, as protobuf's JSON has it: JavaScript and jq round numbers past 2^53.
template <typename Integer64>
Json Integer(Integer64 value) {
  static_assert(std::is_integral_v<Integer64> && sizeof(Integer64) == 8);
  return std::to_string(value);
}

template <typename Integer64>
Json Integers(const std::vector<Integer64>& values) {
  Json texts = Json::array();
  for (const Integer64 value : values) texts.push_back(Integer(value));
  return texts;
}

// Arrays within arrays along `shape`; element(index) gives the innermost values.
template <typename Element>
Json Nested(const std::vector<std::int64_t>& shape, const Element& element, std::size_t axis = 0,
            std::size_t index = 0) {
  if (axis == shape.size()) return element(index);
  Json array = Json::array();
  const auto size = static_cast<std::size_t>(shape[axis]);
  for (std::size_t i = 0; i < size; ++i) {
    array.push_back(Nested(shape, element, axis + 1, index * size + i));
  }
  return array;
}

template <typename Enum>
Json NamesOf(const std::vector<Enum>& values) {
  Json names = Json::array();
  for (const Enum value : values) names.push_back(NameOf(value));
  return names;
}

template <typename T>
Json FieldJson(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return NameOf(value);
  } else if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
    return Integer(value);
  } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
    return Integers(value);
  } else {
    return value;
  }
}

template <typename T>
Json FieldJson(const std::optional<T>& value) {
  return value.has_value() ? FieldJson(*value) : Json();
}

template <typename Ramp>
Json RampJson(const Ramp& ramp) {
  return {{"start_p", Number(ramp.start_p)},
          {"end_p", Number(ramp.end_p)},
          {"start_step", Integer(ramp.start_step)},
          {"end_step", Integer(ramp.end_step)}};
}

Json ScheduleJson(std::monostate) { return "unknown"; }
Json ScheduleJson(const LinearSchedule& s) { return {{"linear", RampJson(s)}}; }
Json ScheduleJson(const CosineSchedule& s) { return {{"cosine", RampJson(s)}}; }

Json ScheduleJson(const CurriculumSchedule& s) {
  return {{"curriculum", {{"end_p", Number(s.end_p)}, {"gamma", Number(s.gamma)}}}};
}

Json ScheduleJson(const PiecewiseSchedule& s) {
  return {{"piecewise", {{"boundaries", Integers(s.boundaries)}, {"values", s.values}}}};
}

}  // namespace

Json ToJson(const Layer& layer) {
  Json json = {{"layer_id", layer.layer_id},           {"mode", NameOf(layer.mode)},
               {"revision", Integer(layer.revision)},  {"p", Number(layer.p.value_or(0.0))},
               {"generator", NameOf(layer.generator)}, {"scaling", NameOf(layer.scaling)},
               {"variant", NameOf(layer.variant)}};
  if (layer.schedule) {
    json["schedule"] =
        std::visit([](const auto& schedule) { return ScheduleJson(schedule); }, *layer.schedule);
  }
  if (std::holds_alternative<std::monostate>(layer.variant)) return json;
  Json fields = Json::object();
  VisitFieldsOf(layer.variant,
                [&](const char* field, const auto& value) { fields[field] = FieldJson(value); });
  json[NameOf(layer.variant)] = std::move(fields);
  return json;
}

Json ToJson(const Session& session) {
  Json layers = Json::array();
  for (const Layer& layer : session.layers) layers.push_back(ToJson(layer));
  return {{"session_id", session.session_id},
          {"seed", Integer(session.seed)},
          {"mode", NameOf(session.mode)},
          {"layers", std::move(layers)},
          {"ttl", FormatSeconds(session.ttl)},
          {"create_time", FormatTimestamp(session.create_time)},
          {"expire_time", FormatTimestamp(session.expire_time)}};
}

Json ToJson(const ServerInfo& info) {
  return {{"version", info.version},
          {"simd_target", info.simd_target},
          {"simd_targets", info.simd_targets},
          {"limits",
           {{"max_sessions", Integer(info.max_sessions)},
            {"max_layers_per_session", Integer(info.max_layers_per_session)},
            {"max_steps_per_layer", Integer(info.max_steps_per_layer)},
            {"max_steps", Integer(info.max_steps)},
            {"mask_cache_bytes", Integer(info.mask_cache_bytes)},
            {"max_message_bytes", Integer(info.max_message_bytes)},
            {"max_bytes_in_flight", Integer(info.max_bytes_in_flight)},
            {"default_ttl", FormatSeconds(info.default_ttl)},
            {"max_ttl", FormatSeconds(info.max_ttl)}}},
          {"store", info.store},
          {"variants", info.variants},
          {"schedules", info.schedules},
          {"unsupported_rpcs", info.unsupported_rpcs},
          {"generators", NamesOf(info.generators)},
          {"data_types", NamesOf(info.data_types)}};
}

Json ToJson(const SharedMemory& region) {
  return {{"region_id", region.region_id},
          {"path", region.path},
          {"byte_size", Integer(region.byte_size)}};
}

Json ToJson(const Tensor& tensor) {
  return {{"dtype", NameOf(tensor.dtype)},
          {"shape", tensor.shape},
          {"data", Nested(tensor.shape, [&](std::size_t index) {
             return Number(ReadableElementAt(tensor, index));
           })}};
}

Json ToJson(const Mask& mask) {
  Json json = {{"shape", mask.shape}, {"scale", mask.scale}, {"sample_scales", mask.sample_scales}};
  if (mask.multipliers.has_value()) {
    json["multipliers"] = ToJson(*mask.multipliers);
    return json;
  }
  const MaskGrid grid(mask);
  json["kept_share"] = grid.KeptShare();
  json["kept"] =
      Nested(mask.shape, [&](std::size_t index) -> Json { return mask.Kept(index) ? 1 : 0; });
  return json;
}

Json ErrorJson(const std::string& code, const std::string& reason, const std::string& message) {
  return {{"error", {{"code", code}, {"reason", reason}, {"message", message}}}};
}

std::string DumpJson(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string DumpJsonLine(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace dropout::cli
