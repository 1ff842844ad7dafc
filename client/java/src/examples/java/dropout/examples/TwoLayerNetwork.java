package dropout.examples;

import dropout.client.DropoutClient;
import dropout.client.DropoutLayer;
import dropout.client.DropoutSession;
import dropout.client.Layers;
import dropout.client.Place;
import dropout.client.Tensors;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;

/**
 * A two-layer network with dropout between its layers, trained by hand to tell the two halves of a
 * ring apart. The masks come from the server; the rest is plain Java.
 */
public final class TwoLayerNetwork {
  private static final int SAMPLES = 64;
  private static final int INPUTS = 3;
  private static final int HIDDEN = 32;
  private static final int STEPS = 200;
  private static final float RATE = 0.5f;

  /** A row-major matrix. */
  private record Matrix(int rows, int columns, float[] values) {
    interface Entry {
      double at(int row, int column);
    }

    static Matrix of(int rows, int columns, Entry entry) {
      Matrix made = new Matrix(rows, columns, new float[rows * columns]);
      for (int i = 0; i < made.values.length; i++) {
        made.values[i] = (float) entry.at(i / columns, i % columns);
      }
      return made;
    }

    float at(int row, int column) {
      return values[row * columns + column];
    }

    Matrix transposed() {
      return of(columns, rows, (i, j) -> at(j, i));
    }

    Matrix times(Matrix other) {
      return of(rows, other.columns, (i, j) -> {
        float sum = 0;
        for (int k = 0; k < columns; k++) {
          sum += at(i, k) * other.at(k, j);
        }
        return sum;
      });
    }

    Matrix map(DoubleUnaryOperator function) {
      return of(rows, columns, (i, j) -> function.applyAsDouble(at(i, j)));
    }

    void descend(Matrix gradient) {
      for (int i = 0; i < values.length; i++) {
        values[i] -= RATE * gradient.values[i];
      }
    }
  }

  private record Activations(Matrix hidden, Matrix masked, Matrix answers) {}

  private final DropoutLayer dropout;
  private final Matrix first;
  private final Matrix second;
  private final Matrix x;
  private final Matrix target;

  private TwoLayerNetwork(DropoutLayer dropout) {
    this.dropout = dropout;
    Random random = new Random(1);
    first = Matrix.of(INPUTS, HIDDEN, (i, j) -> 2 * random.nextFloat() - 1);
    second = Matrix.of(HIDDEN, 1, (i, j) -> 2 * random.nextFloat() - 1);
    x = Matrix.of(SAMPLES, INPUTS, (i, j) -> {
      double angle = 2 * Math.PI * (i + 0.5) / SAMPLES;
      return j == 0 ? Math.cos(angle) : j == 1 ? Math.sin(angle) : 1;
    });
    target = Matrix.of(SAMPLES, 1, (i, j) -> x.at(i, 1) > 0 ? 1 : 0);
  }

  private Activations predict(Place at) {
    Matrix hidden = x.times(first).map(value -> Math.max(0, value));
    float[] output =
        Tensors.floats(
            dropout.forward(Tensors.of(hidden.values(), SAMPLES, HIDDEN), at).getOutput());
    Matrix masked = new Matrix(SAMPLES, HIDDEN, output);
    Matrix answers = masked.times(second).map(value -> 1 / (1 + Math.exp(-value)));
    return new Activations(hidden, masked, answers);
  }

  private void train(Place at) {
    Activations now = predict(at);
    Matrix wrong =
        Matrix.of(SAMPLES, 1, (i, j) -> (now.answers.at(i, j) - target.at(i, j)) / SAMPLES);
    Matrix upstream = wrong.times(second.transposed());
    float[] values =
        Tensors.floats(
            dropout.backward(Tensors.of(upstream.values(), SAMPLES, HIDDEN), at)
                .getInputGradient());
    Matrix gradient =
        Matrix.of(SAMPLES, HIDDEN, (i, j) -> now.hidden.at(i, j) > 0 ? values[i * HIDDEN + j] : 0);
    second.descend(now.masked.transposed().times(wrong));
    first.descend(x.transposed().times(gradient));
  }

  private int countRight() {
    Matrix answers = predict(Place.NONE).answers;
    int right = 0;
    for (int i = 0; i < SAMPLES; i++) {
      if (answers.at(i, 0) > 0.5 == (target.at(i, 0) == 1)) {
        right++;
      }
    }
    return right;
  }

  /** The server's address is the argument. */
  public static void main(String[] arguments) {
    String address = arguments.length > 0 ? arguments[0] : "127.0.0.1:50051";
    int right;
    try (DropoutClient client = DropoutClient.connect(address);
        DropoutSession session = client.createSession(options -> options.setSeed(1))) {
      DropoutLayer layer = session.createLayer(Layers.bernoulli("hidden", 0.5));
      TwoLayerNetwork network = new TwoLayerNetwork(layer);
      for (int step = 0; step < STEPS; step++) {
        network.train(Place.atStep(step));
      }
      layer.eval();
      right = network.countRight();
    }
    System.out.println(right + " of " + SAMPLES + " right after " + STEPS + " steps");
    System.exit(right >= 0.95 * SAMPLES ? 0 : 1);
  }
}
