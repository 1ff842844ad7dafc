package dropout.client;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import dropout.v1.Concrete;
import dropout.v1.CurriculumSchedule;
import dropout.v1.ForwardResponse;
import dropout.v1.Gaussian;
import dropout.v1.Layer;
import dropout.v1.Mode;
import dropout.v1.Schedule;
import dropout.v1.Tensor;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;

/** The client against the server at DROPOUT_TEST_ADDRESS: what its user sees. */
public final class ClientTest {
  private DropoutClient client;
  private DropoutSession session;
  private DropoutLayer hidden;

  @Before
  public void open() {
    client = DropoutClient.connect(System.getenv("DROPOUT_TEST_ADDRESS"));
    session = client.createSession(options -> options.setSeed(-1)); // 2^64 - 1
    hidden = session.createLayer(Layers.bernoulli("hidden", 0.5));
  }

  @After
  public void close() {
    session.close();
    client.close();
  }

  private static float[] ones(int count) {
    float[] values = new float[count];
    Arrays.fill(values, 1);
    return values;
  }

  private static void assertReason(String reason, Runnable call) {
    DropoutException error = assertThrows(DropoutException.class, call::run);
    assertEquals(reason, error.reason());
    assertTrue(error.toString().startsWith(reason + ": "));
  }

  @Test
  public void forwardBackwardAndMaskAgree() {
    Tensor x = Tensors.of(ones(32), 4, 8);
    ForwardResponse forward =
        hidden.forward(x, Place.atStep(0), request -> request.setReturnMask(true));
    float[] expected = new float[32];
    for (int i = 0; i < expected.length; i++) {
      expected[i] = Tensors.isKept(forward.getMask(), i) ? 2 : 0;
    }
    assertArrayEquals(expected, Tensors.floats(forward.getOutput()), 0);
    Tensor gradient = hidden.backward(x, Place.atStep(0)).getInputGradient();
    assertArrayEquals(expected, Tensors.floats(gradient), 0);
    assertEquals(forward.getMask(), hidden.mask(Place.atStep(0), 4, 8));
  }

  @Test
  public void doublesAndOtherTypes() {
    double[] x = {1, -2, 0.1};
    double[] y = Tensors.doubles(hidden.forward(Tensors.of(x, 3), Place.atStep(0)).getOutput());
    for (int i = 0; i < x.length; i++) {
      assertTrue(y[i] == 0 || y[i] == 2 * x[i]);
    }
    assertThrows(
        IllegalArgumentException.class, () -> Tensors.floats(Tensors.of(new double[1], 1)));
  }

  @Test
  public void rowsOfABatch() {
    float[] whole =
        Tensors.floats(hidden.forward(Tensors.of(ones(40), 8, 5), Place.atStep(1)).getOutput());
    float[] part =
        Tensors.floats(
            hidden.forward(Tensors.of(ones(25), 5, 5), Place.atStep(1).from(3)).getOutput());
    assertArrayEquals(Arrays.copyOfRange(whole, 15, 40), part, 0);
  }

  @Test
  public void largerThanGrpcsDefaultLimit() {
    Tensor x = Tensors.of(ones(1024 * 2048), 1024, 2048);
    Tensor y = hidden.forward(x, Place.atStep(-1)).getOutput(); // step 2^64 - 1
    assertEquals(x.getData().size(), y.getData().size());
    assertEquals(0, session.releaseSteps("hidden", -2));
    assertEquals(1, session.releaseSteps("", -1));
  }

  @Test
  public void modes() {
    session.eval();
    Tensor x = Tensors.of(ones(16), 16);
    assertEquals(x, hidden.forward(x, Place.NONE).getOutput());
    hidden.train();
    DropoutException error =
        assertThrows(DropoutException.class, () -> hidden.forward(x, Place.NONE));
    assertEquals(Status.Code.INVALID_ARGUMENT, error.code());
    assertEquals("STEP_REQUIRED", error.reason());
    session.train();
    assertEquals(List.of("hidden"), session.setMode(Mode.MODE_EVAL, "hidden"));
    hidden.eval();
  }

  @Test
  public void sessions() {
    assertEquals(-1, session.seed());
    DropoutSession other =
        client.createSession(options -> options.setSessionId("java-test").setSeed(1));
    client.session("java-test").close(); // which does not delete it
    assertEquals(1, other.info().getSeed());
    assertReason(
        "SESSION_EXISTS",
        () -> client.createSession(options -> options.setSessionId("java-test").setSeed(2)));
    List<String> ids = new ArrayList<>();
    client.forEachSession(1, one -> ids.add(one.getSessionId()));
    assertTrue(ids.contains("java-test") && ids.contains(session.id()));
    other.close();
    assertReason("SESSION_NOT_FOUND", () -> client.session("java-test"));
  }

  @Test
  public void aLayerNeedsPOrASchedule() {
    Layer none =
        Layer.newBuilder().setLayerId("new").setGaussian(Gaussian.getDefaultInstance()).build();
    for (ThrowingRunnable make :
        List.<ThrowingRunnable>of(
            () -> session.createLayer(none),
            () -> session.updateLayer(none),
            () -> client.createSession(options -> options.addLayers(none)))) {
      IllegalArgumentException error = assertThrows(IllegalArgumentException.class, make);
      assertTrue(error.getMessage(), error.getMessage().startsWith("p: not given for layer"));
    }
    session.createLayer(Layers.bernoulli("zero", 0));
    Layer learns =
        Layer.newBuilder().setLayerId("learns").setConcrete(Concrete.getDefaultInstance()).build();
    session.createLayer(learns);
    session.createLayer(none.toBuilder().setP(Layers.ZERO_P).build());
    CurriculumSchedule curriculum = CurriculumSchedule.newBuilder().setEndP(0.5).setGamma(0.01).build();
    session.createLayer(
        none.toBuilder()
            .setLayerId("scheduled")
            .setSchedule(Schedule.newBuilder().setCurriculum(curriculum))
            .build());
    // What a server sent is a layer, with its p.
    for (Layer layer : session.info().getLayersList()) {
      assertTrue(layer.getP() != 0 || Double.doubleToRawLongBits(layer.getP()) == 0);
      assertTrue(!layer.getLayerId().equals("learns") || layer.getP() == 0.1);
      session.updateLayer(layer);
    }
  }

  @Test
  public void serverInfo() {
    assertTrue(client.serverInfo().getVariantsList().contains("dropout"));
  }

  @Test
  public void wrongOptions() {
    assertThrows(IllegalArgumentException.class, () -> DropoutClient.connect(""));
    assertThrows(
        IllegalArgumentException.class,
        () -> new RetryPolicy(Duration.ZERO, 1, Duration.ZERO, Duration.ZERO));
    assertThrows(
        IllegalArgumentException.class,
        () -> new RetryPolicy(Duration.ofSeconds(1), 0, Duration.ZERO, Duration.ZERO));
  }
}
