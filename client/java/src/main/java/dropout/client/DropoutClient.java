package dropout.client;

import com.google.protobuf.Empty;
import dropout.v1.CreateSessionRequest;
import dropout.v1.DeleteSessionRequest;
import dropout.v1.DropoutServiceGrpc;
import dropout.v1.DropoutServiceGrpc.DropoutServiceBlockingStub;
import dropout.v1.GetServerInfoRequest;
import dropout.v1.GetSessionRequest;
import dropout.v1.ListSessionsRequest;
import dropout.v1.ListSessionsResponse;
import dropout.v1.ServerInfo;
import dropout.v1.Session;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import javax.net.ssl.SSLException;

/**
 * A connection to a dropoutd, which holds dropout layers.
 *
 * <pre>{@code
 * try (DropoutClient client = DropoutClient.connect("127.0.0.1:50051");
 *     DropoutSession session = client.createSession(options -> options.setSeed(1))) {
 *   DropoutLayer hidden = session.createLayer(Layers.bernoulli("hidden", 0.5));
 *   Tensor y = hidden.forward(Tensors.of(x, 4, 8), Place.atStep(0)).getOutput();
 * }
 * }</pre>
 *
 * <p>Calls throw DropoutException; those that are safe to repeat are repeated when the server went
 * away. Everything here may be used from several threads at once.
 */
public final class DropoutClient implements AutoCloseable {
  private static final Metadata.Key<String> SESSION_ID = ascii("x-session-id");
  private static final Metadata.Key<String> AUTHORIZATION = ascii("authorization");
  private static final Pattern VALID_SESSION_ID = Pattern.compile("[A-Za-z0-9._-]{1,128}");

  private final ManagedChannel channel;
  private final DropoutServiceBlockingStub stub;
  private final Options options;

  /** How to reach a server, and how long to try. */
  public static final class Options {
    private RetryPolicy retry = RetryPolicy.DEFAULT;
    private String token;
    private boolean tls;
    private File ca;
    private File certificate;
    private File key;

    /** Limits of each call. */
    public Options retry(RetryPolicy policy) {
      retry = policy;
      return this;
    }

    /** Sent as "authorization: Bearer" with every call. */
    public Options token(String value) {
      token = value;
      return this;
    }

    /** Encrypts the connection. PEM file of whom to trust; null: Java's own. */
    public Options tls(File trusted) {
      tls = true;
      ca = trusted;
      return this;
    }

    /** The client's own certificate and key, as PEM files, where the server asks for them. */
    public Options identity(File certificateChain, File privateKey) {
      certificate = certificateChain;
      key = privateKey;
      return this;
    }
  }

  /** A client of HOST:PORT without TLS. The first call connects. */
  public static DropoutClient connect(String address) {
    return connect(address, new Options());
  }

  /** A client of HOST:PORT. Throws IllegalArgumentException for files that cannot be read. */
  public static DropoutClient connect(String address, Options options) {
    if (address.isEmpty()) {
      throw new IllegalArgumentException("address is empty");
    }
    // gRPC's own default, 4 MiB, is smaller than what a server with default flags sends.
    NettyChannelBuilder builder =
        NettyChannelBuilder.forTarget(address).maxInboundMessageSize(Integer.MAX_VALUE);
    if (options.tls) {
      try {
        builder.sslContext(
            GrpcSslContexts.forClient()
                .trustManager(options.ca)
                .keyManager(options.certificate, options.key)
                .build());
      } catch (SSLException problem) {
        throw new IllegalArgumentException(problem);
      }
    } else {
      builder.usePlaintext();
    }
    return new DropoutClient(builder.build(), options);
  }

  private DropoutClient(ManagedChannel channel, Options options) {
    this.channel = channel;
    this.options = options;
    stub = DropoutServiceGrpc.newBlockingStub(channel);
  }

  /** Ends the connection. Sessions stay until they expire. */
  @Override
  public void close() {
    channel.shutdownNow();
    try {
      channel.awaitTermination(5, TimeUnit.SECONDS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * A new session, or the one that exists with the same contents. What `fill` leaves unset: the id
   * is picked, the seed drawn by the server. Closing the session deletes it.
   *
   * @throws IllegalArgumentException for a layer with neither p (Layers.ZERO_P for 0) nor a schedule
   */
  public DropoutSession createSession(Consumer<CreateSessionRequest.Builder> fill) {
    CreateSessionRequest.Builder request = CreateSessionRequest.newBuilder();
    fill.accept(request);
    for (int i = 0; i < request.getLayersCount(); i++) {
      request.setLayers(i, Layers.withP(request.getLayers(i)));
    }
    if (request.getSessionId().isEmpty()) {
      request.setSessionId(newSessionId()); // without one, a repetition would make a second session
    }
    Session session =
        call(RetryPolicy.Idempotency.SAFE, request.getSessionId(), request.build(),
            DropoutServiceBlockingStub::createSession);
    return new DropoutSession(this, session, true);
  }

  /** A session that exists. Closing it does not delete it. */
  public DropoutSession session(String sessionId) {
    return new DropoutSession(this, sessionInfo(sessionId), false);
  }

  Session sessionInfo(String sessionId) {
    GetSessionRequest request = GetSessionRequest.newBuilder().setSessionId(sessionId).build();
    return call(RetryPolicy.Idempotency.SAFE, sessionId, request,
        DropoutServiceBlockingStub::getSession);
  }

  /**
   * Calls `visit` with each session that can be read, sorted by their ids;
   * pageSize 0: the server's default.
   */
  public void forEachSession(int pageSize, Consumer<Session> visit) {
    forEachPage(pageSize, page -> page.getSessionsList().forEach(visit));
  }

  /** The ids of sessions that are there and cannot be read; `session` says why. */
  public List<String> corruptSessionIds() {
    List<String> ids = new ArrayList<>();
    forEachPage(0, page -> ids.addAll(page.getCorruptSessionIdsList()));
    return ids;
  }

  private void forEachPage(int pageSize, Consumer<ListSessionsResponse> visit) {
    ListSessionsRequest.Builder request = ListSessionsRequest.newBuilder().setPageSize(pageSize);
    do {
      ListSessionsResponse page =
          call(RetryPolicy.Idempotency.SAFE, "", request.build(),
              DropoutServiceBlockingStub::listSessions);
      visit.accept(page);
      request.setPageToken(page.getNextPageToken());
    } while (!request.getPageToken().isEmpty());
  }

  /** Deletes a session by its id. */
  public void deleteSession(String sessionId) {
    DeleteSessionRequest request =
        DeleteSessionRequest.newBuilder().setSessionId(sessionId).build();
    BiFunction<DropoutServiceBlockingStub, DeleteSessionRequest, Empty> method =
        DropoutServiceBlockingStub::deleteSession;
    call(RetryPolicy.Idempotency.DELETION, sessionId, request, method);
  }

  /** What the server is and can do. */
  public ServerInfo serverInfo() {
    return call(RetryPolicy.Idempotency.SAFE, "", GetServerInfoRequest.getDefaultInstance(),
        DropoutServiceBlockingStub::getServerInfo);
  }

  /** Sends a request, again where that is safe. */
  <Q, A> A call(
      RetryPolicy.Idempotency idempotency, String sessionId, Q request,
      BiFunction<DropoutServiceBlockingStub, Q, A> method) {
    DropoutServiceBlockingStub ready =
        stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata(sessionId)));
    return options.retry.run(idempotency, (deadline, isRepeated) -> {
      if (isRepeated) {
        // gRPC for Java doubles its own pauses between connections without a limit that can be
        // set. Instead of waiting for its next one, each repetition has it connect.
        channel.resetConnectBackoff();
      }
      return method.apply(ready.withDeadline(deadline), request);
    });
  }

  private Metadata metadata(String sessionId) {
    Metadata metadata = new Metadata();
    // Only what the server would take: a header cannot have other bytes.
    if (VALID_SESSION_ID.matcher(sessionId).matches()) {
      metadata.put(SESSION_ID, sessionId);
    }
    if (options.token != null) {
      metadata.put(AUTHORIZATION, "Bearer " + options.token);
    }
    return metadata;
  }

  private static String newSessionId() {
    byte[] id = new byte[16];
    new SecureRandom().nextBytes(id);
    return HexFormat.of().formatHex(id);
  }

  private static Metadata.Key<String> ascii(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }
}
