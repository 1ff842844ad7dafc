// Naive twins of the kernels for noise that is not binary: docs/mask-format.md, sections 5 to
// 7, word for word, with frexp, ldexp and floor in place of bit tricks. Pure functions.
#ifndef DROPOUTD_TESTS_KERNELS_NAIVE_NOISE_H_
#define DROPOUTD_TESTS_KERNELS_NAIVE_NOISE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/dropout/data_type.h"
#include "server/kernels/concrete.h"
#include "server/kernels/noise_stream.h"

namespace dropoutd::naive {

// Section 5. Log: of positive normal numbers.
double Log(double x);
double Exp(double x);
double SinTurns(double u);
double CosTurns(double u);
double Sigmoid(double v);

// Section 6: the deviate of one index.
double NormalDeviate(const kernels::NoiseStream& stream, std::uint64_t index);
double UniformDeviate(const kernels::NoiseStream& stream, std::uint64_t index);

// Section 7.
double ConcreteDrop(double u, double logit_p, double temperature);

// The sums of dy x w(z), one a group of 64 elements.
std::vector<double> ConcreteGroupSums(DataType dtype, const std::vector<std::uint8_t>& x,
                                      const std::vector<std::uint8_t>& dy,
                                      const std::vector<double>& z,
                                      const kernels::ConcreteWeight& weight);

}  // namespace dropoutd::naive

#endif  // DROPOUTD_TESTS_KERNELS_NAIVE_NOISE_H_
