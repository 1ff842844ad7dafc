package dropout.client;

import dropout.v1.Dropout;
import dropout.v1.Layer;
import java.util.Arrays;

/** Short ways to common layers; the others are a Layer of the contract with another variant. */
public final class Layers {
  private Layers() {}

  /** A layer of the variant dropout. Axes that share one draw may be named. */
  public static Layer bernoulli(String layerId, double p, int... broadcastAxes) {
    Dropout.Builder dropout =
        Dropout.newBuilder().addAllBroadcastAxes(Arrays.stream(broadcastAxes).boxed().toList());
    return Layer.newBuilder().setLayerId(layerId).setP(p).setDropout(dropout).build();
  }
}
