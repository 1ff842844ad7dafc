// From elements of a tensor to elements of its noise, in runs.
#ifndef DROPOUTD_SERVER_DROPOUT_NOISE_RUNS_H_
#define DROPOUTD_SERVER_DROPOUT_NOISE_RUNS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "server/dropout/noise_layout.h"
#include "server/dropout/shape.h"

namespace dropoutd {

// Neighbouring elements of the tensor whose draws are neighbours too, or all the same one.
struct NoiseRun {
  std::size_t noise_at = 0;  // The first draw.
  std::size_t count = 0;     // Elements of the tensor.
  bool repeated = false;     // One draw for all of them.
};

// Walks the tensor's elements in order. A value; one thread at a time.
class NoiseRuns {
 public:
  // Starts at element `begin`, which is below the tensor's count.
  NoiseRuns(const NoiseLayout& layout, std::size_t begin);

  // The next elements, at least 1 and at most `most`. Not past the tensor's last one.
  NoiseRun Next(std::size_t most);

 private:
  // Neighbouring axes of which all, or none, share their draws, merged into one.
  struct Axis {
    std::int64_t size = 1;
    std::int64_t stride = 0;  // In noise elements; 0 where draws are shared.
    std::int64_t at = 0;
  };

  void AddAxis(std::int64_t size, bool shared);
  void SetStrides();
  void Seek(std::int64_t element);
  void AdvanceOuter();

  std::array<Axis, Shape::kMaxRank> axes_{};  // axes_[0] is the innermost.
  int axis_count_ = 0;
  std::int64_t row_start_ = 0;  // Noise index of the innermost axis's first element.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_NOISE_RUNS_H_
