// Bounds, in seconds, of the histograms of times.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_LATENCY_BUCKETS_H_
#define DROPOUTD_SERVER_MAIN_METRICS_LATENCY_BUCKETS_H_

#include <prometheus/histogram.h>

namespace dropoutd {

inline const prometheus::Histogram::BucketBoundaries& LatencyBuckets() {
  static const prometheus::Histogram::BucketBoundaries buckets = {
      0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
      0.05,    0.1,    0.25,    0.5,    1,     2.5,    5,     10};
  return buckets;
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_LATENCY_BUCKETS_H_
