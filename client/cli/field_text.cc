#include "client/cli/field_text.h"

#include <charconv>
#include <cstddef>
#include <utility>
#include <variant>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace dropout::cli {
namespace {

template <typename Integer>
absl::Status ParseList(absl::string_view text, std::vector<Integer>* value) {
  value->clear();
  if (text == "none") return absl::OkStatus();
  for (const absl::string_view part : absl::StrSplit(text, absl::ByAnyChar(":,"))) {
    if (!absl::SimpleAtoi(part, &value->emplace_back())) {
      return NotA("a list of integers as 1:2, or none", text);
    }
  }
  return absl::OkStatus();
}

template <typename Integer>
std::string FormatList(const std::vector<Integer>& value) {
  return value.empty() ? "none" : absl::StrJoin(value, ":");
}

// What follows a schedule's name.
using Parts = std::vector<absl::string_view>;

template <typename Ramp>
bool ParseRamp(const Parts& parts, Schedule* value) {
  Ramp ramp;
  if (parts.size() != 4 || !absl::SimpleAtod(parts[0], &ramp.start_p) ||
      !absl::SimpleAtod(parts[1], &ramp.end_p) || !absl::SimpleAtoi(parts[2], &ramp.start_step) ||
      !absl::SimpleAtoi(parts[3], &ramp.end_step)) {
    return false;
  }
  *value = ramp;
  return true;
}

bool ParseCurriculum(const Parts& parts, Schedule* value) {
  CurriculumSchedule schedule;
  if (parts.size() != 2 || !absl::SimpleAtod(parts[0], &schedule.end_p) ||
      !absl::SimpleAtod(parts[1], &schedule.gamma)) {
    return false;
  }
  *value = schedule;
  return true;
}

bool ParsePiecewise(const Parts& parts, Schedule* value) {
  PiecewiseSchedule schedule;
  if (parts.size() % 2 != 1) return false;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool parsed = i % 2 == 0
                            ? absl::SimpleAtod(parts[i], &schedule.values.emplace_back())
                            : absl::SimpleAtoi(parts[i], &schedule.boundaries.emplace_back());
    if (!parsed) return false;
  }
  *value = std::move(schedule);
  return true;
}

std::string Format(std::monostate) { return "unknown"; }

template <typename Ramp>
std::string FormatRamp(const char* name, const Ramp& ramp) {
  return absl::StrCat(name, ":", FormatField(ramp.start_p), ":", FormatField(ramp.end_p), ":",
                      ramp.start_step, ":", ramp.end_step);
}

std::string Format(const LinearSchedule& schedule) { return FormatRamp("linear", schedule); }
std::string Format(const CosineSchedule& schedule) { return FormatRamp("cosine", schedule); }

std::string Format(const CurriculumSchedule& schedule) {
  return absl::StrCat("curriculum:", FormatField(schedule.end_p), ":", FormatField(schedule.gamma));
}

std::string Format(const PiecewiseSchedule& schedule) {
  std::string text = "piecewise";
  for (std::size_t i = 0; i < schedule.values.size(); ++i) {
    absl::StrAppend(&text, ":", FormatField(schedule.values[i]));
    if (i < schedule.boundaries.size()) absl::StrAppend(&text, ":", schedule.boundaries[i]);
  }
  return text;
}

}  // namespace

absl::Status ParseField(absl::string_view text, bool* value) {
  if (text != "true" && text != "false") return NotA("true or false", text);
  *value = text == "true";
  return absl::OkStatus();
}

absl::Status ParseField(absl::string_view text, double* value) { return ParseNumber(text, value); }
absl::Status ParseField(absl::string_view text, std::int32_t* value) {
  return ParseInteger(text, "an integer", value);
}
absl::Status ParseField(absl::string_view text, std::int64_t* value) {
  return ParseInteger(text, "an integer", value);
}
absl::Status ParseField(absl::string_view text, std::vector<std::int32_t>* value) {
  return ParseList(text, value);
}
absl::Status ParseField(absl::string_view text, std::vector<std::int64_t>* value) {
  return ParseList(text, value);
}

std::string FormatField(bool value) { return value ? "true" : "false"; }

std::string FormatField(double value) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof(text), value).ptr);
}

std::string FormatField(std::int32_t value) { return absl::StrCat(value); }
std::string FormatField(std::int64_t value) { return absl::StrCat(value); }
std::string FormatField(const std::vector<std::int32_t>& value) { return FormatList(value); }
std::string FormatField(const std::vector<std::int64_t>& value) { return FormatList(value); }

absl::Status ParseSchedule(absl::string_view text, Schedule* value) {
  Parts parts = absl::StrSplit(text, ':');
  const absl::string_view name = parts[0];
  parts.erase(parts.begin());
  const bool parsed = (name == "linear" && ParseRamp<LinearSchedule>(parts, value)) ||
                      (name == "cosine" && ParseRamp<CosineSchedule>(parts, value)) ||
                      (name == "curriculum" && ParseCurriculum(parts, value)) ||
                      (name == "piecewise" && ParsePiecewise(parts, value));
  if (parsed) return absl::OkStatus();
  return NotA(
      "linear:START_P:END_P:START_STEP:END_STEP, cosine: and the same, curriculum:END_P:GAMMA or "
      "piecewise:P:STEP:P...",
      text);
}

std::string FormatSchedule(const Schedule& schedule) {
  return std::visit([](const auto& alternative) { return Format(alternative); }, schedule);
}

}  // namespace dropout::cli
