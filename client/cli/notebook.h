// Known answers of the teaching notebook: its printed cells, as numbers. They are data, not
// computed here and not taken from a server.
#ifndef DROPOUTD_CLIENT_CLI_NOTEBOOK_H_
#define DROPOUTD_CLIENT_CLI_NOTEBOOK_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace dropout::cli::notebook {

inline constexpr std::uint64_t kSeed = 1;
inline constexpr double kP = 0.5;
inline constexpr std::size_t kRows = 4;
inline constexpr std::size_t kColumns = 5;

using Matrix = std::array<double, kRows * kColumns>;

// Out[7]: the mask.
inline constexpr Matrix kMask = {
    0., 2., 0., 0., 0.,  //
    0., 0., 0., 0., 2.,  //
    0., 2., 0., 2., 0.,  //
    2., 0., 2., 0., 0.,
};

// Out[8]: the gradient with respect to the input.
inline constexpr Matrix kInputGradient = {
    0.,  0.04, 0.,   0.,   0.,    //
    0.,  0.,   0.,   0.,   0.36,  //
    0.,  0.44, 0.,   0.52, 0.,    //
    0.6, 0.,   0.68, 0.,   0.,
};

// The cells' inputs: X = np.arange(20).reshape(4, 5) / 20 and the upstream gradient,
// np.arange(20).reshape(4, 5) / 50.
inline constexpr double kInputDivisor = 20.0;
inline constexpr double kGradientDivisor = 50.0;

}  // namespace dropout::cli::notebook

#endif  // DROPOUTD_CLIENT_CLI_NOTEBOOK_H_
