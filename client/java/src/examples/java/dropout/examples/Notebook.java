package dropout.examples;

import dropout.client.DropoutClient;
import dropout.client.DropoutLayer;
import dropout.client.DropoutSession;
import dropout.client.Layers;
import dropout.client.Place;
import dropout.client.Tensors;
import dropout.v1.Generator;
import dropout.v1.Tensor;
import java.util.Arrays;

/** The teaching notebook's cells over gRPC, with its results beside the server's. */
public final class Notebook {
  /** np.random.seed(1); np.random.rand(4, 5) > 0.5. */
  private static final String KEPT = "01000" + "00001" + "01010" + "10100";

  private static double[] arange(double divisor) {
    double[] values = new double[KEPT.length()];
    Arrays.setAll(values, i -> i / divisor);
    return values;
  }

  private static double[] masked(double[] values) {
    double[] result = new double[values.length];
    Arrays.setAll(result, i -> KEPT.charAt(i) == '1' ? values[i] * 2 : 0);
    return result;
  }

  private static boolean compare(String name, double[] notebook, Tensor server) {
    double[] values = Tensors.doubles(server);
    boolean equal = Arrays.equals(notebook, values); // by their bits
    System.out.println(
        name + ": " + (equal ? "equal to the last bit"
            : "differs\n" + Arrays.toString(notebook) + "\n" + Arrays.toString(values)));
    return equal;
  }

  /** The server's address is the argument. */
  public static void main(String[] arguments) {
    String address = arguments.length > 0 ? arguments[0] : "127.0.0.1:50051";
    boolean equal;
    try (DropoutClient client = DropoutClient.connect(address);
        DropoutSession session = client.createSession(options -> options.setSeed(1))) {
      DropoutLayer layer =
          session.createLayer(
              Layers.bernoulli("dropout", 0.5).toBuilder()
                  .setGenerator(Generator.GENERATOR_NUMPY_LEGACY)
                  .build());
      double[] x = arange(20);
      double[] gradient = arange(50);
      Tensor input = Tensors.of(x, 4, 5);
      equal = compare("the output", masked(x), layer.forward(input, Place.atStep(0)).getOutput());
      equal &= compare(
          "the gradient with respect to the input", masked(gradient),
          layer.backward(Tensors.of(gradient, 4, 5), Place.atStep(0)).getInputGradient());
      session.eval();
      equal &= compare(
          "the output in eval, which is the input", x,
          layer.forward(input, Place.NONE).getOutput());
    }
    System.exit(equal ? 0 : 1);
  }

  private Notebook() {}
}
