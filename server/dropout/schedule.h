// p as a function of the step, so that a replayed step has the p that it had.
#ifndef DROPOUTD_SERVER_DROPOUT_SCHEDULE_H_
#define DROPOUTD_SERVER_DROPOUT_SCHEDULE_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"

namespace dropoutd {

// From start_p at start_step to end_p at end_step on a straight line; constant outside.
struct LinearSchedule {
  double start_p = 0.0;
  double end_p = 0.0;
  std::uint64_t start_step = 0;
  std::uint64_t end_step = 0;

  friend bool operator==(const LinearSchedule&, const LinearSchedule&) = default;
};

// The same on half a cosine wave.
struct CosineSchedule {
  double start_p = 0.0;
  double end_p = 0.0;
  std::uint64_t start_step = 0;
  std::uint64_t end_step = 0;

  friend bool operator==(const CosineSchedule&, const CosineSchedule&) = default;
};

// end_p (1 - exp(-gamma t)) (Morerio et al., 2017).
struct CurriculumSchedule {
  double end_p = 0.0;
  double gamma = 0.0;

  friend bool operator==(const CurriculumSchedule&, const CurriculumSchedule&) = default;
};

// values[i] for steps in [boundaries[i-1], boundaries[i]).
struct PiecewiseSchedule {
  std::vector<std::uint64_t> boundaries;
  std::vector<double> values;

  friend bool operator==(const PiecewiseSchedule&, const PiecewiseSchedule&) = default;
};

// std::monostate: no schedule, p is constant.
using Schedule = std::variant<std::monostate, LinearSchedule, CosineSchedule, CurriculumSchedule,
                              PiecewiseSchedule>;

constexpr bool HasSchedule(const Schedule& schedule) { return schedule.index() != 0; }

// Names, as in the proto's oneof, of the kinds of schedule.
std::span<const std::string_view> ScheduleNames();

// INVALID_LAYER, naming the field, unless every field is in its range.
absl::Status Validate(const Schedule& schedule);

// p at `step`, in [0, 1), of a valid schedule that HasSchedule. The same on every machine.
double ScheduledP(const Schedule& schedule, std::uint64_t step);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_SCHEDULE_H_
