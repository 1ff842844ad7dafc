package dropout.client;

import dropout.v1.Dropout;
import dropout.v1.Layer;
import java.util.Arrays;

/** Short ways to common layers; the others are a Layer of the contract with another variant. */
public final class Layers {
  /**
   * A p of 0 that is given: the negative zero, which a Layer can tell from no p at all. The server
   * gets 0.
   */
  public static final double ZERO_P = -0.0;

  /** Where concrete starts if p is not given: at 0 nothing is dropped, so nothing would be learned. */
  private static final double FIRST_LEARNED_P = 0.1;

  private Layers() {}

  /** A layer of the variant dropout. Axes that share one draw may be named. */
  public static Layer bernoulli(String layerId, double p, int... broadcastAxes) {
    Dropout.Builder dropout =
        Dropout.newBuilder().addAllBroadcastAxes(Arrays.stream(broadcastAxes).boxed().toList());
    return Layer.newBuilder().setLayerId(layerId).setP(p == 0 ? ZERO_P : p).setDropout(dropout).build();
  }

  /**
   * The layer as it is sent. A layer with a revision came from the server, where a p of 0 is one.
   *
   * @throws IllegalArgumentException for one with neither p nor a schedule, which would drop nothing
   */
  static Layer withP(Layer layer) {
    if (layer.getP() != 0) {
      return layer;
    }
    if (Double.doubleToRawLongBits(layer.getP()) != 0) {
      return layer.toBuilder().setP(0).build();
    }
    if (!layer.hasSchedule() && layer.hasConcrete() && layer.getRevision() == 0) {
      return layer.toBuilder().setP(FIRST_LEARNED_P).build();
    }
    if (!layer.hasSchedule() && layer.getRevision() == 0) {
      throw new IllegalArgumentException(
          "p: not given for layer \"" + layer.getLayerId() + "\": set it to the probability that an "
              + "element is dropped, in [0, 1), which is Layers.ZERO_P for 0, or set a schedule");
    }
    return layer;
  }
}
