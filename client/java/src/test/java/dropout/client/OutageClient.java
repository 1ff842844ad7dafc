package dropout.client;

import dropout.v1.Tensor;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * The client for tests/clients/outage.py: prints "ready" after a first call, then for each line of
 * standard input makes a call and prints "ok" or why it failed.
 */
public final class OutageClient {
  public static void main(String[] arguments) throws IOException {
    try (DropoutClient client = DropoutClient.connect(arguments[0])) {
      DropoutSession session = client.createSession(options -> {});
      DropoutLayer layer = session.createLayer(Layers.bernoulli("hidden", 0.5));
      Tensor x = Tensors.of(new float[] {1, 2}, 2);
      layer.forward(x, Place.atStep(0));
      System.out.println("ready");
      BufferedReader lines =
          new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      for (long step = 1; lines.readLine() != null; step++) {
        try {
          layer.forward(x, Place.atStep(step));
          System.out.println("ok");
        } catch (DropoutException error) {
          System.out.println("failed: " + error);
        }
      }
    }
  }

  private OutageClient() {}
}
