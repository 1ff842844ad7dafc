package dropout.client;

import dropout.v1.BackwardRequest;
import dropout.v1.BackwardResponse;
import dropout.v1.DropoutServiceGrpc.DropoutServiceBlockingStub;
import dropout.v1.ForwardRequest;
import dropout.v1.ForwardResponse;
import dropout.v1.GetMaskRequest;
import dropout.v1.GetParametersRequest;
import dropout.v1.Mask;
import dropout.v1.Mode;
import dropout.v1.Parameter;
import dropout.v1.SetParametersRequest;
import dropout.v1.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/** A layer of a session. */
public final class DropoutLayer {
  private final DropoutSession session;
  private final String id;

  DropoutLayer(DropoutSession session, String id) {
    this.session = session;
    this.id = id;
  }

  public String id() {
    return id;
  }

  /** Masks the input in train and remembers the mask under the step; passes it through in eval. */
  public ForwardResponse forward(Tensor input, Place at) {
    return forward(input, at, request -> {});
  }

  /** As forward; `fill` sets what else the request may have, as setReturnMask. */
  public ForwardResponse forward(Tensor input, Place at, Consumer<ForwardRequest.Builder> fill) {
    ForwardRequest.Builder request =
        ForwardRequest.newBuilder()
            .setSessionId(session.id())
            .setLayerId(id)
            .setInput(input)
            .setSampleOffset(at.sampleOffset());
    if (at.step() != null) {
      request.setStep(at.step());
    }
    if (at.sequenceId() != null) {
      request.setSequenceId(at.sequenceId());
    }
    fill.accept(request);
    return session.call(
        RetryPolicy.Idempotency.SAFE, request.build(), DropoutServiceBlockingStub::forward);
  }

  /** Applies the step's mask to the gradient with respect to the output. */
  public BackwardResponse backward(Tensor outputGradient, Place at) {
    return backward(outputGradient, at, request -> {});
  }

  /**
   * As backward; `fill` sets what else the request may have. With setRelease the call is not
   * repeated: the first attempt may have released the step.
   */
  public BackwardResponse backward(
      Tensor outputGradient, Place at, Consumer<BackwardRequest.Builder> fill) {
    BackwardRequest.Builder request =
        BackwardRequest.newBuilder()
            .setSessionId(session.id())
            .setLayerId(id)
            .setOutputGradient(outputGradient)
            .setSampleOffset(at.sampleOffset());
    if (at.step() != null) {
      request.setStep(at.step());
    }
    if (at.sequenceId() != null) {
      request.setSequenceId(at.sequenceId());
    }
    fill.accept(request);
    return session.call(
        request.getRelease() ? RetryPolicy.Idempotency.UNSAFE : RetryPolicy.Idempotency.SAFE,
        request.build(), DropoutServiceBlockingStub::backward);
  }

  /** The mask that forward and backward apply. Without a shape: that of the step's forward. */
  public Mask mask(Place at, long... shape) {
    GetMaskRequest.Builder request =
        GetMaskRequest.newBuilder()
            .setSessionId(session.id())
            .setLayerId(id)
            .addAllShape(Arrays.stream(shape).boxed().toList())
            .setSampleOffset(at.sampleOffset());
    if (at.step() != null) {
      request.setStep(at.step());
    }
    if (at.sequenceId() != null) {
      request.setSequenceId(at.sequenceId());
    }
    return session.call(
        RetryPolicy.Idempotency.SAFE, request.build(), DropoutServiceBlockingStub::getMask);
  }

  public void train() {
    session.setMode(Mode.MODE_TRAIN, id);
  }

  public void eval() {
    session.setMode(Mode.MODE_EVAL, id);
  }

  /** Sets what the server holds for the layer, as drop_connect's weight and bias. */
  public void setParameters(List<Parameter> parameters) {
    SetParametersRequest request =
        SetParametersRequest.newBuilder()
            .setSessionId(session.id())
            .setLayerId(id)
            .addAllParameters(parameters)
            .build();
    session.call(RetryPolicy.Idempotency.SAFE, request, DropoutServiceBlockingStub::setParameters);
  }

  /** What the server holds for the layer. */
  public List<Parameter> parameters() {
    GetParametersRequest request =
        GetParametersRequest.newBuilder().setSessionId(session.id()).setLayerId(id).build();
    return session
        .call(RetryPolicy.Idempotency.SAFE, request, DropoutServiceBlockingStub::getParameters)
        .getParametersList();
  }
}
