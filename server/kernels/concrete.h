// Concrete dropout (Gal, Hron and Kendall, 2017): relaxed Bernoulli noise and the gradient of
// its probability p. q = 1 - p; all arithmetic in float64, in the order that
// docs/mask-format.md, section 7, fixes: the same bits on every instruction set.
//
// Thread safety: free functions on the caller's memory, no shared state.
#ifndef DROPOUTD_SERVER_KERNELS_CONCRETE_H_
#define DROPOUTD_SERVER_KERNELS_CONCRETE_H_

#include <cstddef>

#include "server/kernels/exact_sum.h"

namespace dropoutd::kernels {

// How far each element is dropped: z = sigmoid((logit_p + log(u) - log(1 - u)) / temperature)
// for n uniform deviates u of UniformDeviates. logit_p is finite, temperature positive. z may
// be u.
void ConcreteDrop(const double* u, std::size_t n, double logit_p, double temperature, double* z);

// w(z) = (1 - z) / q^2 - z (1 - z) (1 / p + 1 / q) / (t q) = (1 - z) (a - z b).
struct ConcreteWeight {
  double a;  // 1 / q^2
  double b;  // (1 / p + 1 / q) / (t q)
};

// Adds dy x w(z), over n elements, to `sum`; p q times the sum is the gradient of logit_p.
// Elements where w(z) is 0 add nothing, whatever x and dy are. Products are summed in groups
// of 64 and the groups' sums exactly, so that a tensor can be added in any pieces that start
// at multiples of 64 elements. x and dy have any alignment.
void ConcreteGradientF32(const void* x, const void* dy, const double* z, std::size_t n,
                         const ConcreteWeight& w, ExactSum& sum);
void ConcreteGradientF64(const void* x, const void* dy, const double* z, std::size_t n,
                         const ConcreteWeight& w, ExactSum& sum);
// IEEE binary16.
void ConcreteGradientF16(const void* x, const void* dy, const double* z, std::size_t n,
                         const ConcreteWeight& w, ExactSum& sum);
// The upper half of a binary32.
void ConcreteGradientBF16(const void* x, const void* dy, const double* z, std::size_t n,
                          const ConcreteWeight& w, ExactSum& sum);

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_CONCRETE_H_
