// The kernels Multiply and AffineMask, on every element type.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <random>
#include <vector>

#include "server/kernels/affine_mask.h"
#include "server/kernels/multiply.h"
#include "tests/kernels/naive.h"
#include "tests/kernels/place.h"
#include "tests/kernels/simd_target_fixture.h"

namespace dropoutd::kernels {
namespace {

constexpr std::size_t kMaxTail = 130;
constexpr Affine kAlpha = {0.8609526, 0.4540921, -1.0595};

std::size_t Size(DataType dtype) { return static_cast<std::size_t>(ElementSize(dtype)); }

Bytes Prefix(const Bytes& bytes, std::size_t size) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

// A kernel, its operands, and the answers of the naive loop for the same x.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void Run(const void* x, std::size_t n, void* y, Stores stores) const = 0;
  virtual std::uint64_t Twin(std::uint64_t x, std::size_t i) const = 0;

  Bytes Expected(const Bytes& x) const {
    Bytes y(x.size());
    for (std::size_t i = 0; i < x.size() / Size(dtype); ++i) {
      naive::StoreElement(dtype, Twin(naive::LoadElement(dtype, x.data(), i), i), y.data(), i);
    }
    return y;
  }

  DataType dtype = DataType::kFloat32;
};

class Multiplication : public Operation {
 public:
  Multiplication(DataType type, std::vector<double> m) : m_(std::move(m)) { dtype = type; }

  void Run(const void* x, std::size_t n, void* y, Stores stores) const override {
    // No readable multiplier past the last, for the address sanitizer to see.
    const std::vector<double> m(m_.begin(), m_.begin() + static_cast<std::ptrdiff_t>(n));
    switch (dtype) {
      case DataType::kFloat32:
        return MultiplyF32(x, m.data(), n, y, stores);
      case DataType::kFloat64:
        return MultiplyF64(x, m.data(), n, y, stores);
      case DataType::kFloat16:
        return MultiplyF16(x, m.data(), n, y, stores);
      case DataType::kBFloat16:
        return MultiplyBF16(x, m.data(), n, y, stores);
    }
  }

  std::uint64_t Twin(std::uint64_t x, std::size_t i) const override {
    const double m = dtype == DataType::kFloat64 ? m_[i] : static_cast<float>(m_[i]);
    return m == 0 ? 0 : naive::ScaleElement(dtype, x, m);
  }

 private:
  std::vector<double> m_;
};

class Alpha : public Operation {
 public:
  Alpha(DataType type, Bytes bits, const Affine& f) : bits_(std::move(bits)), f_(f) {
    dtype = type;
  }

  void Run(const void* x, std::size_t n, void* y, Stores stores) const override {
    const Bytes bits = Prefix(bits_, (n + 7) / 8);
    switch (dtype) {
      case DataType::kFloat32:
        return AffineMaskF32(x, bits.data(), n, f_, y, stores);
      case DataType::kFloat64:
        return AffineMaskF64(x, bits.data(), n, f_, y, stores);
      case DataType::kFloat16:
        return AffineMaskF16(x, bits.data(), n, f_, y, stores);
      case DataType::kBFloat16:
        return AffineMaskBF16(x, bits.data(), n, f_, y, stores);
    }
  }

  std::uint64_t Twin(std::uint64_t x, std::size_t i) const override {
    // c is 0 times something finite, plus c.
    return naive::Bit(bits_, i) ? naive::AffineElement(dtype, x, f_.a, f_.b)
                                : naive::AffineElement(dtype, 0, 0, f_.c);
  }

 private:
  Bytes bits_;
  Affine f_;
};

// Multipliers as they come up, and edges: 0, one that is 0 in float32 only, large ones.
std::vector<double> Multipliers(std::size_t n) {
  std::mt19937_64 engine(3);
  std::normal_distribution<double> normal(1, 0.7);
  std::vector<double> m(n);
  for (double& value : m) value = normal(engine);
  const double edges[] = {0.0, -0.0, 1e-60, 1.0, 1e30, -2.5};
  for (std::size_t i = 0; i < n; i += 7) m[i] = edges[i / 7 % std::size(edges)];
  return m;
}

std::vector<std::unique_ptr<Operation>> Operations(std::size_t n) {
  std::vector<std::unique_ptr<Operation>> operations;
  for (const DataType dtype : naive::kDataTypes) {
    operations.push_back(std::make_unique<Multiplication>(dtype, Multipliers(n)));
    operations.push_back(
        std::make_unique<Alpha>(dtype, naive::RandomBytes((n + 7) / 8, 2), kAlpha));
  }
  return operations;
}

class ElementwiseTest : public SimdTargetFixture {
 protected:
  void Check(const Operation& operation, const Bytes& x, std::size_t x_at, std::size_t y_at,
             Stores stores) {
    const std::size_t n = x.size() / Size(operation.dtype);
    const Bytes expected = operation.Expected(x);
    const std::uint8_t* from = x_.Fill(x_at, x);
    std::uint8_t* to = y_.Fill(y_at, Bytes(x.size(), 0x5A));
    operation.Run(from, n, to, stores);
    FlushStores();
    ASSERT_TRUE(y_.Holds(expected) && y_.GuardsAreWhole())
        << naive::Name(operation.dtype) << " n " << n << " x + " << x_at << " y + " << y_at;
    ASSERT_TRUE(x_.Holds(x) && x_.GuardsAreWhole());
    to = y_.Fill(y_at, x);
    operation.Run(to, n, to, stores);
    FlushStores();
    ASSERT_TRUE(y_.Holds(expected) && y_.GuardsAreWhole()) << "in place, n " << n;
  }

  Place x_{kMaxTail * 8};
  Place y_{kMaxTail * 8};
};

TEST_P(ElementwiseTest, AgreesWithTwinAtEveryTailAndMisalignment) {
  for (const auto& operation : Operations(kMaxTail)) {
    const std::size_t size = Size(operation->dtype);
    const Bytes x = naive::RandomBytes(kMaxTail * size, 1);
    for (std::size_t n = 0; n <= kMaxTail; n += naive::kSanitized ? 3 : 1) {
      for (std::size_t m = 0; m < kLine; m += 1 + n % 3) {
        Check(*operation, Prefix(x, n * size), m, 0, Stores::kStreaming);
        Check(*operation, Prefix(x, n * size), 0, m, Stores::kStreaming);
        Check(*operation, Prefix(x, n * size), m, m, Stores::kCached);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(ElementwiseTest, EverySixteenBitValue) {
  constexpr std::size_t kValues = 65536;
  for (const auto& operation : Operations(kValues)) {
    if (Size(operation->dtype) != 2) continue;
    Bytes x(kValues * 2);
    for (std::size_t i = 0; i < kValues; ++i) {
      naive::StoreElement(operation->dtype, i, x.data(), i);
    }
    const Bytes expected = operation->Expected(x);
    Bytes y(x.size());
    operation->Run(x.data(), kValues, y.data(), Stores::kCached);
    EXPECT_EQ(y, expected) << naive::Name(operation->dtype);
  }
}

TEST_P(ElementwiseTest, DroppedPlacesLeakNothing) {
  for (const DataType dtype : naive::kDataTypes) {
    for (const int byte : {0xFF, 0x7F, 0x80}) {  // NaNs and others.
      const Bytes x(kMaxTail * Size(dtype), static_cast<std::uint8_t>(byte));
      Bytes y(x.size(), 0x77);
      Multiplication(dtype, std::vector<double>(kMaxTail, 0.0))
          .Run(x.data(), kMaxTail, y.data(), Stores::kCached);
      EXPECT_EQ(y, Bytes(x.size())) << naive::Name(dtype);
      const Alpha alpha(dtype, Bytes(kMaxTail / 8 + 1), {2, 3, 1});
      alpha.Run(x.data(), kMaxTail, y.data(), Stores::kCached);
      for (std::size_t i = 0; i < kMaxTail; ++i) {
        ASSERT_EQ(naive::Value(dtype, naive::LoadElement(dtype, y.data(), i)), 1);
      }
    }
  }
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(ElementwiseTest);

}  // namespace
}  // namespace dropoutd::kernels
