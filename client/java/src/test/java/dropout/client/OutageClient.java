package dropout.client;

import dropout.v1.Tensor;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicReference;

/**
 * The client for tests/clients/outage.py and connections.py: prints "ready" after a first call, then
 * for each line of standard input makes as many calls at once as it says, and prints "ok" or why one
 * failed.
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
      long step = 1;
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        int count = Integer.parseInt(line);
        System.out.println(callAtOnce(layer, x, step, count));
        step += count;
      }
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
    }
  }

  private static String callAtOnce(DropoutLayer layer, Tensor x, long first, int count)
      throws InterruptedException {
    AtomicReference<String> said = new AtomicReference<>("ok");
    Thread[] threads = new Thread[count];
    for (int i = 0; i < count; i++) {
      long step = first + i;
      threads[i] =
          new Thread(
              () -> {
                try {
                  layer.forward(x, Place.atStep(step));
                } catch (DropoutException error) {
                  said.set("failed: " + error);
                }
              });
      threads[i].start();
    }
    for (Thread thread : threads) {
      thread.join();
    }
    return said.get();
  }

  private OutageClient() {}
}
