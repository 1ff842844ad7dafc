#include "client/cli/variant_scenes.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/cli/elements.h"
#include "client/cli/temporary_session.h"

namespace dropout::cli {
namespace {

using Sizes = std::vector<std::int64_t>;

constexpr std::uint64_t kSeed = 1;
constexpr std::int64_t kSamples = 8;
constexpr std::int64_t kFeatures = 24;

Layer MakeLayer(const std::string& id, double p, Variant variant) {
  Layer layer;
  layer.layer_id = id;
  layer.p = p;
  layer.variant = std::move(variant);
  return layer;
}

SessionOptions OptionsWith(std::vector<Layer> layers) {
  SessionOptions options;
  options.seed = kSeed;
  options.layers = std::move(layers);
  return options;
}

// A mask's multipliers at every place of a tensor, or of the mask itself where that is of
// something else (weights).
struct Noise {
  Sizes shape;
  std::vector<double> values;
};

double MultiplierAt(const Mask& mask, std::size_t index, std::size_t per_sample) {
  if (mask.multipliers.has_value()) return ElementAt(*mask.multipliers, index);
  if (!mask.Kept(index)) return 0.0;
  if (mask.sample_scales.empty()) return mask.scale;
  return mask.sample_scales[std::min(index / per_sample, mask.sample_scales.size() - 1)];
}

// Index in the noise of the tensor's element `index`: axes of size 1 share their draws.
std::size_t NoiseIndex(const Sizes& noise, const Sizes& tensor, std::size_t index) {
  std::size_t at = 0;
  std::size_t stride = 1;
  for (std::size_t axis = tensor.size(); axis-- > 0;) {
    const auto size = static_cast<std::size_t>(tensor[axis]);
    if (noise[axis] != 1) at += index % size * stride;
    stride *= static_cast<std::size_t>(noise[axis]);
    index /= size;
  }
  return at;
}

Noise NoiseOf(const Mask& mask, const Sizes& tensor) {
  const Sizes& shape = mask.shape.size() == tensor.size() ? tensor : mask.shape;
  const std::size_t total = *ElementCount(mask.shape);
  const std::size_t per_sample =
      mask.shape.empty() ? 1 : std::max<std::size_t>(1, total / std::size_t(mask.shape[0]));
  Noise noise{shape, std::vector<double>(*ElementCount(shape))};
  for (std::size_t i = 0; i < noise.values.size(); ++i) {
    noise.values[i] = MultiplierAt(mask, NoiseIndex(mask.shape, shape, i), per_sample);
  }
  return noise;
}

// A session with a scene's layers, and what it shows of them.
class Stage {
 public:
  Stage(Client& client, std::vector<Layer> layers)
      : client_(client), session_(client, OptionsWith(std::move(layers))) {}

  Noise Ask(const std::string& layer, const Sizes& shape, std::uint64_t step = 0,
            std::uint64_t sequence = 0) {
    const Mask mask = CallResult(client_.GetMask(At(layer, step, sequence), shape));
    CheckCall(CheckMask(mask));
    return NoiseOf(mask, shape);
  }

  // Forward of a tensor whose elements are all `value`.
  std::vector<double> Forward(const std::string& layer, const Sizes& shape, double value) {
    const Tensor input = Filled(shape, value);
    return ElementsOf(CallResult(client_.Forward(At(layer, 0, 0), input.View())).output);
  }

  // The gradient of the sum of the outputs of that step.
  std::vector<double> Backward(const std::string& layer, const Sizes& shape) {
    const Tensor gradient = Filled(shape, 1.0);
    return ElementsOf(
        CallResult(client_.Backward(At(layer, 0, 0), gradient.View())).input_gradient);
  }

  void SetWeights(const std::string& layer, const Sizes& shape, double value) {
    CheckCall(client_.SetParameters(session_.id(), layer, {{"weight", Filled(shape, value)}}));
  }

 private:
  StepRef At(const std::string& layer, std::uint64_t step, std::uint64_t sequence) const {
    return {session_.id(), layer, step, 0, sequence};
  }

  static Tensor Filled(const Sizes& shape, double value) {
    Tensor tensor{DataType::kFloat64, shape, ""};
    const std::string bytes(reinterpret_cast<const char*>(&value), sizeof(value));
    for (std::size_t i = 0; i < *ElementCount(shape); ++i) tensor.data += bytes;
    return tensor;
  }

  static std::vector<double> ElementsOf(const Tensor& tensor) {
    CheckCall(CheckTensor(tensor));
    std::vector<double> values(*ElementCount(tensor.shape));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = ElementAt(tensor, i);
    return values;
  }

  Client& client_;
  const TemporarySession session_;
};

double MeanOf(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The greatest value, which binary noise has wherever it keeps; 1 where nothing is kept.
double Greatest(const std::vector<double>& values) {
  const double greatest = *std::max_element(values.begin(), values.end());
  return greatest > 0 ? greatest : 1.0;
}

Panel PanelOf(const std::string& title, const Noise& noise, std::optional<double> full = {}) {
  const std::size_t rank = noise.shape.size();
  return {title, static_cast<std::size_t>(noise.shape[rank - 2]),
          static_cast<std::size_t>(noise.shape[rank - 1]), noise.values,
          full.value_or(Greatest(noise.values))};
}

// One panel for each index of the leading axes, which `names` names.
std::vector<Panel> PanelsOf(const Noise& noise, const std::vector<std::string>& names) {
  const std::size_t rows = static_cast<std::size_t>(noise.shape[noise.shape.size() - 2]);
  const std::size_t columns = static_cast<std::size_t>(noise.shape.back());
  std::vector<Panel> panels;
  for (std::size_t at = 0; at < noise.values.size(); at += rows * columns) {
    std::string title;
    std::size_t index = at / (rows * columns);
    for (std::size_t axis = names.size(); axis-- > 0;) {
      const auto size = static_cast<std::size_t>(noise.shape[axis]);
      title = absl::StrCat(names[axis], " ", index % size, title.empty() ? "" : ", ", title);
      index /= size;
    }
    const std::vector<double> values(noise.values.begin() + std::ptrdiff_t(at),
                                     noise.values.begin() + std::ptrdiff_t(at + rows * columns));
    panels.push_back({title, rows, columns, values, Greatest(values)});
  }
  return panels;
}

// What a forward and a backward of ones do.
std::vector<std::pair<std::string, double>> FactsOf(Stage& stage, const std::string& layer,
                                                    const Sizes& shape) {
  const std::vector<double> y = stage.Forward(layer, shape, 1.0);
  const std::vector<double> dx = stage.Backward(layer, shape);
  const auto zeros = std::count(y.begin(), y.end(), 0.0);
  return {{"share of zeros in y, for x = 1", double(zeros) / double(y.size())},
          {"mean of y, for x = 1", MeanOf(y)},
          {"largest difference of dx, for dy = 1, from the multipliers", [&] {
             double largest = 0;
             for (std::size_t i = 0; i < y.size(); ++i) {
               largest = std::max(largest, std::abs(y[i] - dx[i]));
             }
             return largest;
           }()}};
}

// --- The scenes ---------------------------------------------------------------------------

Scene ShowDropout(Client& client) {
  const Sizes shape = {kSamples, kFeatures};
  Stage stage(client, {MakeLayer("plain", 0.5, Dropout{}), MakeLayer("shared", 0.5, Dropout{{0}})});
  return {"y = x m / q, m = 1 with probability q = 1 - p, else 0; here p = 0.5",
          "a row is a sample, a column a feature; with broadcast_axes 0 all samples share a draw",
          {PanelOf("every element on its own", stage.Ask("plain", shape)),
           PanelOf("broadcast_axes 0", stage.Ask("shared", shape))},
          FactsOf(stage, "plain", shape)};
}

Scene ShowGaussian(Client& client) {
  const Sizes shape = {kSamples, kFeatures};
  Stage stage(client, {MakeLayer("gaussian", 0.2, Gaussian{})});
  // The mean is drawn at half strength.
  return {"y = x (1 + s e), e ~ N(0, 1), s = sqrt(p / q); here p = 0.2, s = 0.5",
          "no element is dropped: multipliers around 1, drawn from 0 to 2",
          {PanelOf("multipliers", stage.Ask("gaussian", shape), 2.0)},
          FactsOf(stage, "gaussian", shape)};
}

std::vector<std::pair<std::string, double>> AlphaFacts(Stage& stage, const std::string& layer,
                                                       const Sizes& shape) {
  const std::vector<double> of_zero = stage.Forward(layer, shape, 0.0);
  const auto [dropped, kept] = std::minmax_element(of_zero.begin(), of_zero.end());
  const std::vector<double> dx = stage.Backward(layer, shape);
  return {{"what a kept 0 becomes: b", *kept},
          {"what a dropped element becomes: a A + b", *dropped},
          {"dx of a kept element, for dy = 1: a", *std::max_element(dx.begin(), dx.end())},
          {"dx of a dropped element", *std::min_element(dx.begin(), dx.end())}};
}

Scene ShowAlpha(Client& client) {
  const Sizes shape = {kSamples, kFeatures};
  Stage stage(client, {MakeLayer("alpha", 0.3, Alpha{})});
  return {
      "y = a (x m + A (1 - m)) + b, A = -1.7581; a and b keep mean 0 and variance 1; here "
      "p = 0.3",
      "dropped elements take SELU's saturation value instead of 0",
      {PanelOf("kept and saturated", stage.Ask("alpha", shape))},
      AlphaFacts(stage, "alpha", shape)};
}

constexpr std::int64_t kMapRows = 4;
constexpr std::int64_t kMapColumns = 7;

Scene ShowFeatureAlpha(Client& client) {
  const Sizes shape = {2, 4, kMapRows, kMapColumns};
  Stage stage(client, {MakeLayer("feature_alpha", 0.4, FeatureAlpha{})});
  return {"as alpha, with one m for each (sample, channel); here p = 0.4",
          "whole channels take the saturation value",
          PanelsOf(stage.Ask("feature_alpha", shape), {"sample", "channel"}),
          AlphaFacts(stage, "feature_alpha", shape)};
}

Scene ShowSpatial(Client& client) {
  const Sizes shape = {2, 4, kMapRows, kMapColumns};
  Stage stage(client, {MakeLayer("spatial", 0.4, Spatial{})});
  return {"y = x m / q, one m for each (sample, channel); here p = 0.4",
          "whole channels are kept or dropped",
          PanelsOf(stage.Ask("spatial", shape), {"sample", "channel"}),
          FactsOf(stage, "spatial", shape)};
}

Scene ShowDropBlock(Client& client) {
  const Sizes shape = {2, 2, 14, 14};
  DropBlock options;
  options.block_size = {5};
  Stage stage(client, {MakeLayer("drop_block", 0.2, options)});
  return {"y = x M R, M = 0 in b x b blocks around seeds, R = size / kept; here p = 0.2, b = 5",
          "square regions of each channel's map are dropped; blocks may overlap",
          PanelsOf(stage.Ask("drop_block", shape), {"sample", "channel"}),
          FactsOf(stage, "drop_block", shape)};
}

Scene ShowConcrete(Client& client) {
  const Sizes shape = {kSamples, kFeatures};
  constexpr double kP = 0.3;
  Concrete soft;
  soft.temperature = 1.0;
  Stage stage(client, {MakeLayer("hard", kP, Concrete{}), MakeLayer("soft", kP, soft)});
  constexpr double kFull = 1 / (1 - kP);
  return {
      "y = x (1 - z) / q, z = sigmoid((logit p + logit u) / t), u ~ U(0, 1); p is learned; here "
      "p = 0.3",
      "nearly kept or dropped at a low temperature, shades in between at a high one",
      {PanelOf("temperature 0.1", stage.Ask("hard", shape), kFull),
       PanelOf("temperature 1", stage.Ask("soft", shape), kFull)},
      FactsOf(stage, "hard", shape)};
}

Scene ShowDropConnect(Client& client) {
  constexpr std::int64_t kIn = 12;
  constexpr std::int64_t kOut = 6;
  DropConnect sample;
  sample.in_features = kIn;
  sample.out_features = kOut;
  sample.bias = false;
  DropConnect batch = sample;
  batch.mask_scope = MaskScope::kBatch;
  Stage stage(client, {MakeLayer("sample", 0.5, sample), MakeLayer("batch", 0.5, batch)});
  const Sizes shape = {3, kIn};
  std::vector<Panel> panels = PanelsOf(stage.Ask("sample", shape), {"weights of sample"});
  Panel whole = PanelsOf(stage.Ask("batch", shape), {""})[0];
  whole.title = "mask_scope batch: of all";
  panels.push_back(std::move(whole));
  stage.SetWeights("sample", {kOut, kIn}, 1.0);
  const std::vector<double> y = stage.Forward("sample", shape, 1.0);
  const std::vector<double> dx = stage.Backward("sample", {3, kOut});
  return {"y[o] = sum_i M[o,i] W[o,i] x[i] / q + bias[o]; here p = 0.5, 12 inputs, 6 outputs",
          "a row is an output, a column an input: single weights are dropped, anew for each sample",
          std::move(panels),
          {{"mean of y, for W = 1 and x = 1 (eval: 12)", MeanOf(y)},
           {"mean of dx, for W = 1 and dy = 1 (eval: 6)", MeanOf(dx)}}};
}

Scene ShowVariational(Client& client) {
  const Sizes shape = {4, 16};
  Stage stage(client, {MakeLayer("variational", 0.5, Variational{})});
  std::vector<Panel> panels;
  for (std::uint64_t t = 0; t < 3; ++t) {
    panels.push_back(
        PanelOf(absl::StrCat("sequence 1, time step ", t), stage.Ask("variational", shape, t, 1)));
  }
  panels.push_back(PanelOf("sequence 2", stage.Ask("variational", shape, 3, 2)));
  return {"y = x m / q, one m for each (sample, feature) of a sequence; here p = 0.5",
          "constant over time within a sequence, new for the next one", std::move(panels),
          FactsOf(stage, "variational", shape)};
}

Scene ShowRecurrent(Client& client) {
  const Sizes shape = {4, 16};
  Recurrent by_step;
  by_step.mask_scope = MaskScope::kStep;
  Stage stage(client, {MakeLayer("sequence", 0.5, Recurrent{}), MakeLayer("step", 0.5, by_step)});
  std::vector<Panel> panels;
  for (const char* scope : {"sequence", "step"}) {
    for (std::uint64_t t = 0; t < 2; ++t) {
      panels.push_back(
          PanelOf(absl::StrCat("scope ", scope, ", time step ", t), stage.Ask(scope, shape, t, 1)));
    }
  }
  return {"h' = h m / q on the recurrent path; here p = 0.5",
          "scope sequence keeps its mask over time, scope step draws a new one", std::move(panels),
          FactsOf(stage, "sequence", shape)};
}

Scene ShowStochasticDepth(Client& client) {
  constexpr std::int64_t kDepth = 12;
  std::vector<Layer> layers;
  for (std::int64_t l = 1; l <= kDepth; ++l) {
    layers.push_back(
        MakeLayer(absl::StrCat("row", l), 0.5, StochasticDepth{DepthMode::kRow, l, kDepth}));
    layers.push_back(
        MakeLayer(absl::StrCat("batch", l), 0.5, StochasticDepth{DepthMode::kBatch, l, kDepth}));
  }
  Stage stage(client, std::move(layers));
  constexpr std::size_t kColumns = 16;
  Panel row{"mode row: a column is a sample", kDepth, kColumns, {}, 1.0};
  Panel batch{"mode batch: a column is a step", kDepth, kColumns, {}, 1.0};
  const auto decision = [](double multiplier) { return multiplier > 0 ? 1.0 : 0.0; };
  for (std::int64_t l = 1; l <= kDepth; ++l) {
    for (const double m : stage.Ask(absl::StrCat("row", l), {kColumns, 1}).values) {
      row.values.push_back(decision(m));
    }
    for (std::uint64_t step = 0; step < kColumns; ++step) {
      batch.values.push_back(decision(stage.Ask(absl::StrCat("batch", l), {1, 1}, step).values[0]));
    }
  }
  const std::vector<double> y = stage.Forward("row12", {1000, 1}, 1.0);
  return {"y = branch * b / q', b = 1 with probability q' = 1 - p l / L; here p = 0.5, L = 12",
          "a row is a residual block l, from the first to the last: deeper ones are skipped more",
          {std::move(row), std::move(batch)},
          {{"mean of y of block 12, for 1000 samples of branch = 1", MeanOf(y)}}};
}

struct Entry {
  const char* name;
  Scene (*show)(Client&);
};

constexpr Entry kScenes[] = {{"dropout", ShowDropout},
                             {"gaussian", ShowGaussian},
                             {"alpha", ShowAlpha},
                             {"feature_alpha", ShowFeatureAlpha},
                             {"spatial", ShowSpatial},
                             {"drop_block", ShowDropBlock},
                             {"concrete", ShowConcrete},
                             {"drop_connect", ShowDropConnect},
                             {"variational", ShowVariational},
                             {"recurrent", ShowRecurrent},
                             {"stochastic_depth", ShowStochasticDepth}};

}  // namespace

Scene ShowVariant(Client& client, const std::string& name) {
  const auto* const entry = std::find_if(std::begin(kScenes), std::end(kScenes),
                                         [&](const Entry& each) { return each.name == name; });
  if (entry == std::end(kScenes)) throw UsageError(absl::StrCat("no variant ", name));
  return entry->show(client);
}

}  // namespace dropout::cli
