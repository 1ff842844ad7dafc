package dropout.client;

import com.google.gson.JsonObject;
import dropout.v1.BackwardRequest;
import dropout.v1.CreateLayerRequest;
import dropout.v1.CreateSessionRequest;
import dropout.v1.ForwardRequest;
import dropout.v1.GetMaskRequest;
import dropout.v1.GetParametersResponse;
import dropout.v1.Layer;
import dropout.v1.ReleaseStepsRequest;
import dropout.v1.ReleaseStepsResponse;
import dropout.v1.SetModeRequest;
import dropout.v1.SetModeResponse;
import dropout.v1.SetParametersRequest;
import dropout.v1.UpdateLayerRequest;

/** Makes the conformance suite's calls through the client. */
final class ConformanceDriver {
  private final DropoutClient client;
  private DropoutSession session;

  ConformanceDriver(DropoutClient client) {
    this.client = client;
  }

  /** The answer, or an empty message where the call has none. */
  JsonObject call(String rpc, JsonObject json) {
    return switch (rpc) {
      case "CreateSession" -> createSession(json);
      case "GetSession" -> ConformanceJson.of(session.info());
      case "DeleteSession" -> {
        client.deleteSession(json.get("session_id").getAsString());
        yield new JsonObject();
      }
      case "CreateLayer" -> createLayer(json);
      case "UpdateLayer" -> ConformanceJson.of(session.updateLayer(meant(
          ConformanceJson.read(json, UpdateLayerRequest.newBuilder()).getLayer(),
          json.getAsJsonObject("layer"))));
      case "DeleteLayer" -> {
        session.deleteLayer(json.get("layer_id").getAsString());
        yield new JsonObject();
      }
      case "SetMode" -> setMode(json);
      case "ReleaseSteps" -> releaseSteps(json);
      default -> layerCall(rpc, json, session.layer(json.get("layer_id").getAsString()));
    };
  }

  private JsonObject layerCall(String rpc, JsonObject json, DropoutLayer layer) {
    return switch (rpc) {
      case "Forward" -> forward(json, layer);
      case "Backward" -> backward(json, layer);
      case "GetMask" -> mask(json, layer);
      case "SetParameters" -> {
        layer.setParameters(ConformanceJson.read(json, SetParametersRequest.newBuilder())
            .getParametersList());
        yield new JsonObject();
      }
      case "GetParameters" -> ConformanceJson.of(
          GetParametersResponse.newBuilder().addAllParameters(layer.parameters()));
      default -> throw new IllegalArgumentException(rpc);
    };
  }

  /** Marks a p of 0 that the case gives, which a Layer alone cannot tell from none. */
  private static Layer meant(Layer layer, JsonObject given) {
    boolean isZero = given.has("p") && layer.getP() == 0;
    return isZero ? layer.toBuilder().setP(Layers.ZERO_P).build() : layer;
  }

  private JsonObject createSession(JsonObject json) {
    CreateSessionRequest.Builder read =
        ConformanceJson.read(json, CreateSessionRequest.newBuilder());
    for (int i = 0; i < read.getLayersCount(); i++) {
      JsonObject given = json.getAsJsonArray("layers").get(i).getAsJsonObject();
      read.setLayers(i, meant(read.getLayers(i), given));
    }
    CreateSessionRequest request = read.build();
    session = client.createSession(fill -> fill.mergeFrom(request));
    return ConformanceJson.of(session.info());
  }

  private JsonObject createLayer(JsonObject json) {
    Layer wanted =
        meant(
            ConformanceJson.read(json, CreateLayerRequest.newBuilder()).getLayer(),
            json.getAsJsonObject("layer"));
    session.createLayer(wanted);
    for (Layer layer : session.info().getLayersList()) {
      if (layer.getLayerId().equals(wanted.getLayerId())) {
        return ConformanceJson.of(layer);
      }
    }
    return new JsonObject();
  }

  private JsonObject setMode(JsonObject json) {
    SetModeRequest request = ConformanceJson.read(json, SetModeRequest.newBuilder()).build();
    String[] ids = request.getLayerIdsList().toArray(String[]::new);
    return ConformanceJson.of(SetModeResponse.newBuilder()
        .addAllLayerIds(session.setMode(request.getMode(), ids))
        .setMode(request.getMode()));
  }

  private JsonObject releaseSteps(JsonObject json) {
    ReleaseStepsRequest request =
        ConformanceJson.read(json, ReleaseStepsRequest.newBuilder()).build();
    return ConformanceJson.of(ReleaseStepsResponse.newBuilder().setReleasedCount(
        session.releaseSteps(request.getLayerId(), request.getThroughStep())));
  }

  private static Long optional(boolean given, long value) {
    return given ? value : null;
  }

  private static JsonObject forward(JsonObject json, DropoutLayer layer) {
    ForwardRequest request = ConformanceJson.read(json, ForwardRequest.newBuilder()).build();
    Place at = new Place(
        optional(request.hasStep(), request.getStep()), request.getSampleOffset(),
        optional(request.hasSequenceId(), request.getSequenceId()));
    return ConformanceJson.of(layer.forward(
        request.getInput(), at, fill -> fill.setReturnMask(request.getReturnMask())));
  }

  private static JsonObject backward(JsonObject json, DropoutLayer layer) {
    BackwardRequest request = ConformanceJson.read(json, BackwardRequest.newBuilder()).build();
    Place at = new Place(
        optional(request.hasStep(), request.getStep()), request.getSampleOffset(),
        optional(request.hasSequenceId(), request.getSequenceId()));
    return ConformanceJson.of(layer.backward(request.getOutputGradient(), at, fill -> {
      fill.setRelease(request.getRelease());
      if (request.hasWeightSquaredNorm()) {
        fill.setWeightSquaredNorm(request.getWeightSquaredNorm());
      }
    }));
  }

  private static JsonObject mask(JsonObject json, DropoutLayer layer) {
    GetMaskRequest request = ConformanceJson.read(json, GetMaskRequest.newBuilder()).build();
    Place at = new Place(
        optional(request.hasStep(), request.getStep()), request.getSampleOffset(),
        optional(request.hasSequenceId(), request.getSequenceId()));
    long[] shape = request.getShapeList().stream().mapToLong(Long::longValue).toArray();
    return ConformanceJson.of(layer.mask(at, shape));
  }
}
