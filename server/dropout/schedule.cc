#include "server/dropout/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/kernels/elementary.h"

namespace dropoutd {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"linear", "cosine", "curriculum", "piecewise"};
static_assert(kNames.size() + 1 == std::variant_size_v<Schedule>);

absl::Status Invalid(std::string_view message) { return MakeError(Reason::kInvalidLayer, message); }

// Written so that NaN fails.
absl::Status CheckP(std::string_view field, double p) {
  if (p >= 0.0 && p < 1.0) return absl::OkStatus();
  return Invalid(
      absl::StrCat(absl::string_view(field.data(), field.size()), ": ", p, ", must be in [0, 1)"));
}

template <typename Ramp>
absl::Status ValidateRamp(const char* kind, const Ramp& ramp) {
  DROPOUTD_RETURN_IF_ERROR(CheckP(absl::StrCat("schedule.", kind, ".start_p"), ramp.start_p));
  DROPOUTD_RETURN_IF_ERROR(CheckP(absl::StrCat("schedule.", kind, ".end_p"), ramp.end_p));
  if (ramp.start_step < ramp.end_step) return absl::OkStatus();
  return Invalid(absl::StrCat("schedule.", kind, ".start_step: ", ramp.start_step,
                              ", must be below end_step, ", ramp.end_step));
}

absl::Status ValidateKind(std::monostate) { return absl::OkStatus(); }
absl::Status ValidateKind(const LinearSchedule& s) { return ValidateRamp("linear", s); }
absl::Status ValidateKind(const CosineSchedule& s) { return ValidateRamp("cosine", s); }

absl::Status ValidateKind(const CurriculumSchedule& s) {
  DROPOUTD_RETURN_IF_ERROR(CheckP("schedule.curriculum.end_p", s.end_p));
  if (s.gamma > 0.0 && std::isfinite(s.gamma)) return absl::OkStatus();
  return Invalid(
      absl::StrCat("schedule.curriculum.gamma: ", s.gamma, ", must be above 0 and finite"));
}

absl::Status ValidateKind(const PiecewiseSchedule& s) {
  if (s.values.size() != s.boundaries.size() + 1) {
    return Invalid(absl::StrCat("schedule.piecewise.values: ", s.values.size(),
                                " of them, must be one more than the ", s.boundaries.size(),
                                " boundaries"));
  }
  for (const double p : s.values) {
    DROPOUTD_RETURN_IF_ERROR(CheckP("schedule.piecewise.values", p));
  }
  const auto fall = std::adjacent_find(s.boundaries.begin(), s.boundaries.end(),
                                       [](std::uint64_t a, std::uint64_t b) { return a >= b; });
  if (fall == s.boundaries.end()) return absl::OkStatus();
  return Invalid(absl::StrCat("schedule.piecewise.boundaries: ", *fall, " is followed by ",
                              *(fall + 1), ", must be strictly rising"));
}

// How much of the ramp lies behind `step`, from 0 to 1.
template <typename Ramp>
double Progress(const Ramp& ramp, std::uint64_t step) {
  if (step <= ramp.start_step) return 0.0;
  if (step >= ramp.end_step) return 1.0;
  return static_cast<double>(step - ramp.start_step) /
         static_cast<double>(ramp.end_step - ramp.start_step);
}

// Between a and b, whatever rounding does.
double Mix(double a, double b, double share) {
  return std::clamp(a + (b - a) * share, std::min(a, b), std::max(a, b));
}

double PAt(std::monostate, std::uint64_t) { return 0.0; }

double PAt(const LinearSchedule& s, std::uint64_t step) {
  return Mix(s.start_p, s.end_p, Progress(s, step));
}

double PAt(const CosineSchedule& s, std::uint64_t step) {
  return Mix(s.start_p, s.end_p, 0.5 * (1.0 - kernels::CosPi(Progress(s, step))));
}

double PAt(const CurriculumSchedule& s, std::uint64_t step) {
  return Mix(0.0, s.end_p, 1.0 - kernels::Exp(-s.gamma * static_cast<double>(step)));
}

double PAt(const PiecewiseSchedule& s, std::uint64_t step) {
  const auto next = std::upper_bound(s.boundaries.begin(), s.boundaries.end(), step);
  return s.values[static_cast<std::size_t>(next - s.boundaries.begin())];
}

}  // namespace

std::span<const std::string_view> ScheduleNames() { return kNames; }

absl::Status Validate(const Schedule& schedule) {
  return std::visit([](const auto& kind) { return ValidateKind(kind); }, schedule);
}

double ScheduledP(const Schedule& schedule, std::uint64_t step) {
  return std::visit([&](const auto& kind) { return PAt(kind, step); }, schedule);
}

}  // namespace dropoutd
