// The stream of numpy.random.seed(seed); numpy.random.rand(...).
#ifndef DROPOUTD_SERVER_RANDOM_NUMPY_LEGACY_H_
#define DROPOUTD_SERVER_RANDOM_NUMPY_LEGACY_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

namespace dropoutd {

// MT19937 (Matsumoto and Nishimura, 1998) started as NumPy starts it for an integer
// seed. About 2.5 KiB. Not thread-safe: one thread at a time draws.
class NumpyLegacyStream {
 public:
  static constexpr std::uint64_t kMaxSeed = 0xFFFFFFFF;

  // seed <= kMaxSeed.
  explicit NumpyLegacyStream(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}

  // The next double of rand(), in [0, 1), with 53 random bits.
  double Next();

  // Draws `count` doubles u and writes the bits u > p, least significant bit first, to
  // (count + 7) / 8 bytes; unused bits of the last byte are 0.
  void KeepBits(double p, std::size_t count, std::uint8_t* bits);

  // Where the stream is, as text, and back: false, and nothing changed, if `text` is not one.
  std::string State() const;
  bool SetState(const std::string& text);

 private:
  // std::mt19937 with words of 32 bits, which on some systems halves the state.
  using Engine =
      std::mersenne_twister_engine<std::uint32_t, 32, 624, 397, 31, 0x9908b0df, 11, 0xffffffff, 7,
                                   0x9d2c5680, 15, 0xefc60000, 18, 1812433253>;
  Engine engine_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_RANDOM_NUMPY_LEGACY_H_
