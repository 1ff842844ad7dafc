package dropout.client;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import dropout.v1.BackwardRequest;
import dropout.v1.BackwardResponse;
import dropout.v1.CreateSessionRequest;
import dropout.v1.DropoutServiceGrpc;
import dropout.v1.GetSessionRequest;
import dropout.v1.Session;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;

/** When calls are sent again: the rules, and the client against a server that refuses. */
public final class RetryTest {
  private static final RetryPolicy FAST =
      new RetryPolicy(Duration.ofSeconds(30), 4, Duration.ofMillis(1), Duration.ofMillis(1));

  private int attempts;

  /** Fails with these codes in turn, then succeeds. */
  private String run(RetryPolicy policy, RetryPolicy.Idempotency idempotency, Status... failures) {
    attempts = 0;
    Deque<Status> left = new ArrayDeque<>(Arrays.asList(failures));
    return policy.run(idempotency, (deadline, isRepeated) -> {
      assertEquals(attempts > 0, isRepeated);
      attempts++;
      if (!left.isEmpty()) {
        throw new StatusRuntimeException(left.remove());
      }
      return "done";
    });
  }

  private void assertFails(
      Status.Code code, RetryPolicy policy, RetryPolicy.Idempotency idempotency,
      Status... failures) {
    DropoutException error =
        assertThrows(DropoutException.class, () -> run(policy, idempotency, failures));
    assertEquals(code, error.code());
  }

  @Test
  public void rules() {
    Status unavailable = Status.UNAVAILABLE;
    assertEquals("done", run(FAST, RetryPolicy.Idempotency.SAFE, unavailable, Status.CANCELLED));
    assertEquals(3, attempts);
    assertFails(Status.Code.UNAVAILABLE, FAST, RetryPolicy.Idempotency.SAFE, unavailable,
        unavailable, unavailable, unavailable);
    assertEquals(4, attempts);
    assertFails(Status.Code.INTERNAL, FAST, RetryPolicy.Idempotency.SAFE, Status.INTERNAL);
    assertFails(Status.Code.UNAVAILABLE, FAST, RetryPolicy.Idempotency.UNSAFE, unavailable);
    assertEquals(1, attempts);
    assertNull(run(FAST, RetryPolicy.Idempotency.DELETION, unavailable, Status.NOT_FOUND));
    assertFails(Status.Code.NOT_FOUND, FAST, RetryPolicy.Idempotency.DELETION, Status.NOT_FOUND);
  }

  @Test
  public void noPauseOutlastsTheDeadline() {
    RetryPolicy patient =
        new RetryPolicy(Duration.ofSeconds(1), 9, Duration.ofHours(1), Duration.ofHours(1));
    assertFails(
        Status.Code.UNAVAILABLE, patient, RetryPolicy.Idempotency.SAFE, Status.UNAVAILABLE);
    assertEquals(1, attempts);
  }

  @Test
  public void timeAloneEndsAttempts() {
    RetryPolicy patient =
        new RetryPolicy(
            Duration.ofSeconds(60), RetryPolicy.DEFAULT.maxAttempts(), Duration.ZERO,
            Duration.ZERO);
    Status[] failures = new Status[30];
    Arrays.fill(failures, Status.UNAVAILABLE);
    assertEquals("done", run(patient, RetryPolicy.Idempotency.SAFE, failures));
    assertEquals(31, attempts);
  }

  @Test
  public void aConnectionThatEndsIsAServerThatWentAway() {
    Status closed =
        Status.UNKNOWN.withDescription("channel closed").withCause(new ClosedChannelException());
    assertEquals("done", run(FAST, RetryPolicy.Idempotency.SAFE, closed));
    assertFails(Status.Code.UNAVAILABLE, FAST, RetryPolicy.Idempotency.UNSAFE, closed);
    assertFails(Status.Code.UNKNOWN, FAST, RetryPolicy.Idempotency.SAFE, Status.UNKNOWN);
  }

  @Test
  public void anAttemptThatRunsOutOfTimeSaysWhyThereWasAnother() {
    DropoutException error = assertThrows(
        DropoutException.class,
        () -> run(FAST, RetryPolicy.Idempotency.SAFE,
            Status.UNAVAILABLE.withDescription("down"), Status.DEADLINE_EXCEEDED));
    assertEquals(Status.Code.UNAVAILABLE, error.code());
    assertTrue(error.getMessage(), error.getMessage().startsWith("down (tried 2 times in "));
  }

  @Test
  public void nobodyThere() {
    RetryPolicy brief =
        new RetryPolicy(Duration.ofMillis(500), 1000, Duration.ofMillis(1), Duration.ofMillis(50));
    try (DropoutClient alone = DropoutClient.connect(
        "127.0.0.1:1", new DropoutClient.Options().retry(brief))) {
      DropoutException error = assertThrows(DropoutException.class, alone::serverInfo);
      assertEquals(Status.Code.UNAVAILABLE, error.code());
      assertTrue(error.getMessage(),
          error.getMessage().matches("(?s).*refused.* \\(tried \\d+ times in .* s\\)"));
    }
  }

  // --- The client -------------------------------------------------------------------------

  /** Refuses the first calls of each kind and remembers what it was sent. */
  private static final class Fake extends DropoutServiceGrpc.DropoutServiceImplBase
      implements ServerInterceptor {
    final List<String> createdIds = new ArrayList<>();
    final List<Metadata> metadata = new ArrayList<>();
    int refusals;

    private <T> void answer(StreamObserver<T> observer, T value) {
      if (refusals > 0) {
        refusals--;
        observer.onError(Status.UNAVAILABLE.asRuntimeException());
        return;
      }
      observer.onNext(value);
      observer.onCompleted();
    }

    @Override
    public void createSession(CreateSessionRequest request, StreamObserver<Session> observer) {
      createdIds.add(request.getSessionId());
      answer(observer, Session.newBuilder().setSessionId(request.getSessionId()).build());
    }

    @Override
    public void getSession(GetSessionRequest request, StreamObserver<Session> observer) {
      if (request.getSessionId().equals("silence")) {
        return; // never answers
      }
      answer(observer, Session.newBuilder().setSessionId(request.getSessionId()).build());
    }

    @Override
    public void backward(BackwardRequest request, StreamObserver<BackwardResponse> observer) {
      answer(observer, BackwardResponse.getDefaultInstance());
    }

    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      metadata.add(headers);
      return next.startCall(call, headers);
    }
  }

  private final Fake fake = new Fake();
  private Server server;
  private DropoutClient client;

  @Before
  public void serve() throws IOException {
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))
            .addService(ServerInterceptors.intercept(fake, fake))
            .build()
            .start();
    client = connect(FAST);
  }

  private DropoutClient connect(RetryPolicy policy) {
    return DropoutClient.connect(
        "127.0.0.1:" + server.getPort(),
        new DropoutClient.Options().retry(policy).token("secret"));
  }

  @After
  public void stop() throws InterruptedException {
    client.close();
    server.shutdownNow().awaitTermination();
  }

  @Test
  public void createdSessionsHaveAnIdSoThatTheyCanBeRepeated() {
    fake.refusals = 2;
    client.createSession(options -> {});
    assertEquals(3, fake.createdIds.size());
    assertEquals(32, fake.createdIds.get(0).length());
    assertEquals(fake.createdIds.get(0), fake.createdIds.get(2));
  }

  @Test
  public void backwardWithReleaseIsNotRepeated() {
    DropoutLayer layer = client.session("s").layer("l");
    fake.refusals = 1;
    assertThrows(
        DropoutException.class,
        () -> layer.backward(
            Tensors.of(new float[1], 1), Place.atStep(0), request -> request.setRelease(true)));
    fake.refusals = 1;
    layer.backward(Tensors.of(new float[1], 1), Place.atStep(0));
  }

  @Test
  public void deadlines() {
    RetryPolicy brief =
        new RetryPolicy(Duration.ofMillis(200), 1, Duration.ZERO, Duration.ZERO);
    try (DropoutClient impatient = connect(brief)) {
      DropoutException error =
          assertThrows(DropoutException.class, () -> impatient.session("silence"));
      assertEquals(Status.Code.DEADLINE_EXCEEDED, error.code());
      assertEquals("", error.reason());
    }
  }

  @Test
  public void metadata() {
    client.session("s");
    client.session("a b");
    Metadata.Key<String> id = Metadata.Key.of("x-session-id", Metadata.ASCII_STRING_MARSHALLER);
    Metadata.Key<String> token = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    assertEquals("s", fake.metadata.get(0).get(id));
    assertNull(fake.metadata.get(1).get(id));
    assertTrue(fake.metadata.stream().allMatch(one -> "Bearer secret".equals(one.get(token))));
  }
}
