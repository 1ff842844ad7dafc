package dropout.client;

import dropout.v1.CreateLayerRequest;
import dropout.v1.DeleteLayerRequest;
import dropout.v1.DropoutServiceGrpc.DropoutServiceBlockingStub;
import dropout.v1.Layer;
import dropout.v1.Mode;
import dropout.v1.ReleaseStepsRequest;
import dropout.v1.Session;
import dropout.v1.SetModeRequest;
import dropout.v1.UpdateLayerRequest;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiFunction;

/** A session on the server. Closing it deletes it, if this client created it. */
public final class DropoutSession implements AutoCloseable {
  private final DropoutClient client;
  private final String id;
  private final long seed;
  private final boolean deleteAtClose;

  DropoutSession(DropoutClient client, Session session, boolean deleteAtClose) {
    this.client = client;
    this.deleteAtClose = deleteAtClose;
    id = session.getSessionId();
    seed = session.getSeed();
  }

  public String id() {
    return id;
  }

  /** Seed of every mask in the session, an unsigned number. */
  public long seed() {
    return seed;
  }

  /** The session as it is now. */
  public Session info() {
    return client.sessionInfo(id);
  }

  public void delete() {
    client.deleteSession(id);
  }

  @Override
  public void close() {
    if (deleteAtClose) {
      delete();
    }
  }

  /**
   * A new layer, or the one that exists with the same contents.
   *
   * @throws IllegalArgumentException for a layer with neither p (Layers.ZERO_P for 0) nor a schedule
   */
  public DropoutLayer createLayer(Layer layer) {
    CreateLayerRequest request =
        CreateLayerRequest.newBuilder().setSessionId(id).setLayer(Layers.withP(layer)).build();
    call(RetryPolicy.Idempotency.SAFE, request, DropoutServiceBlockingStub::createLayer);
    return layer(layer.getLayerId());
  }

  /** A layer that exists; nothing is asked of the server. */
  public DropoutLayer layer(String layerId) {
    return new DropoutLayer(this, layerId);
  }

  /**
   * Replaces the whole layer with this id; the answer has its new revision.
   *
   * @throws IllegalArgumentException as createLayer
   */
  public Layer updateLayer(Layer layer) {
    UpdateLayerRequest request =
        UpdateLayerRequest.newBuilder().setSessionId(id).setLayer(Layers.withP(layer)).build();
    return call(RetryPolicy.Idempotency.SAFE, request, DropoutServiceBlockingStub::updateLayer);
  }

  /** Deletes a layer with its steps. */
  public void deleteLayer(String layerId) {
    DeleteLayerRequest request =
        DeleteLayerRequest.newBuilder().setSessionId(id).setLayerId(layerId).build();
    call(RetryPolicy.Idempotency.DELETION, request, DropoutServiceBlockingStub::deleteLayer);
  }

  /** No ids: all layers, and later ones too. Returns the ids of the layers that were set. */
  public List<String> setMode(Mode mode, String... layerIds) {
    SetModeRequest request =
        SetModeRequest.newBuilder()
            .setSessionId(id)
            .setMode(mode)
            .addAllLayerIds(Arrays.asList(layerIds))
            .build();
    return call(RetryPolicy.Idempotency.SAFE, request, DropoutServiceBlockingStub::setMode)
        .getLayerIdsList();
  }

  public void train() {
    setMode(Mode.MODE_TRAIN);
  }

  public void eval() {
    setMode(Mode.MODE_EVAL);
  }

  /**
   * Forgets steps up to and including throughStep, of all layers if layerId is empty. Returns how
   * many records there were.
   */
  public long releaseSteps(String layerId, long throughStep) {
    ReleaseStepsRequest request =
        ReleaseStepsRequest.newBuilder()
            .setSessionId(id)
            .setLayerId(layerId)
            .setThroughStep(throughStep)
            .build();
    return call(RetryPolicy.Idempotency.SAFE, request, DropoutServiceBlockingStub::releaseSteps)
        .getReleasedCount();
  }

  <Q, A> A call(
      RetryPolicy.Idempotency idempotency, Q request,
      BiFunction<DropoutServiceBlockingStub, Q, A> method) {
    return client.call(idempotency, id, request, method);
  }
}
