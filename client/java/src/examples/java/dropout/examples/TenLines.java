package dropout.examples;

import dropout.client.*;
import java.util.Arrays;

public final class TenLines {
  public static void main(String[] arguments) {
    try (DropoutClient client = DropoutClient.connect(arguments[0]);
        DropoutSession session = client.createSession(options -> options.setSeed(1))) {
      DropoutLayer layer = session.createLayer(Layers.bernoulli("hidden", 0.5));
      float[] x = new float[16];
      Arrays.fill(x, 1);
      float[] y = Tensors.floats(layer.forward(Tensors.of(x, 16), Place.atStep(0)).getOutput());
      float[] dx =
          Tensors.floats(layer.backward(Tensors.of(x, 16), Place.atStep(0)).getInputGradient());
      for (float value : y) System.out.print((int) value + " ");
      System.out.println(Arrays.equals(dx, y));
    }
  }
}
