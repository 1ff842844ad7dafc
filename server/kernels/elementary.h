// Elementary functions of one float64 whose bits are the same on every machine, unlike those
// of the C library: docs/mask-format.md, section 5, which states how exact they are.
//
// Thread safety: pure functions.
#ifndef DROPOUTD_SERVER_KERNELS_ELEMENTARY_H_
#define DROPOUTD_SERVER_KERNELS_ELEMENTARY_H_

namespace dropoutd::kernels {

// Natural logarithm: -infinity of 0, a NaN of negative numbers.
double Log(double x);

// e^x: infinity where it overflows, 0 where it underflows.
double Exp(double x);

// cos(pi x). A NaN for |x| > 2^50, where x has no fraction left.
double CosPi(double x);

// 1 / (1 + e^-v).
double Sigmoid(double v);

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_ELEMENTARY_H_
