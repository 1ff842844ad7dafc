// What a Forward of ones answers, by the plain words of docs/mask-format.md.
#ifndef DROPOUTD_TESTS_SIMULATION_PLAIN_MASK_H_
#define DROPOUTD_TESTS_SIMULATION_PLAIN_MASK_H_

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dropoutd {

// What an elementwise mask in train depends on.
struct MaskPlace {
  std::uint64_t seed = 0;
  std::uint32_t layer = 0;  // Its number; see LayerIdOf in session_state.h.
  std::uint64_t step = 0;
  std::int64_t sample_offset = 0;
  std::uint32_t shape = 0;  // Its number.
  bool is_concrete = false;
  double rate = 0;  // p, or where p is learned its logit.

  friend auto operator<=>(const MaskPlace&, const MaskPlace&) = default;
};

// Remembers what it has worked out. Not thread-safe.
class PlainMasks {
 public:
  // Names an answer's elements: equal of equal ones.
  static std::uint64_t NameOf(const std::vector<float>& elements);

  // Of the answer in train.
  std::uint64_t Find(const MaskPlace& place);

  // Of one that leaves `count` ones as they are.
  static std::uint64_t OfOnes(std::size_t count);

 private:
  std::map<MaskPlace, std::uint64_t> known_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_PLAIN_MASK_H_
