#include "server/dropout/noise_runs.h"

#include <algorithm>

namespace dropoutd {

NoiseRuns::NoiseRuns(const NoiseLayout& layout, std::size_t begin) {
  for (int i = layout.tensor.rank() - 1; i >= 0; --i) {
    if (layout.tensor[i] != 1) AddAxis(layout.tensor[i], layout.noise[i] == 1);
  }
  if (axis_count_ == 0) AddAxis(1, false);
  SetStrides();
  Seek(static_cast<std::int64_t>(begin));
}

NoiseRun NoiseRuns::Next(std::size_t most) {
  Axis& row = axes_[0];
  NoiseRun run;
  run.noise_at = static_cast<std::size_t>(row_start_ + row.at * row.stride);
  run.count = std::min(most, static_cast<std::size_t>(row.size - row.at));
  run.repeated = row.stride == 0;
  row.at += static_cast<std::int64_t>(run.count);
  if (row.at == row.size) {
    row.at = 0;
    AdvanceOuter();
  }
  return run;
}

void NoiseRuns::AddAxis(std::int64_t size, bool shared) {
  if (axis_count_ != 0) {
    Axis& inner = axes_[static_cast<std::size_t>(axis_count_ - 1)];
    if ((inner.stride == 0) == shared) {
      inner.size *= size;
      return;
    }
  }
  axes_[static_cast<std::size_t>(axis_count_++)] = {size, shared ? 0 : 1, 0};
}

void NoiseRuns::SetStrides() {
  std::int64_t stride = 1;
  for (int i = 0; i < axis_count_; ++i) {
    Axis& axis = axes_[static_cast<std::size_t>(i)];
    const bool shared = axis.stride == 0;
    axis.stride = shared ? 0 : stride;
    if (!shared) stride *= axis.size;
  }
}

void NoiseRuns::Seek(std::int64_t element) {
  if (element == 0) return;  // Also where an axis is empty.
  for (int i = 0; i < axis_count_; ++i) {
    Axis& axis = axes_[static_cast<std::size_t>(i)];
    axis.at = element % axis.size;
    element /= axis.size;
    if (i != 0) row_start_ += axis.at * axis.stride;
  }
}

void NoiseRuns::AdvanceOuter() {
  for (int i = 1; i < axis_count_; ++i) {
    Axis& axis = axes_[static_cast<std::size_t>(i)];
    row_start_ += axis.stride;
    if (++axis.at < axis.size) return;
    row_start_ -= axis.size * axis.stride;
    axis.at = 0;
  }
}

}  // namespace dropoutd
