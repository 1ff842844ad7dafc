package dropout.client;

/**
 * Which mask.
 *
 * @param step the training step, an unsigned number; null: none, which will do in eval
 * @param sampleOffset index in the whole batch of the tensor's first row
 * @param sequenceId key of layers whose mask a sequence shares, unsigned; null: none
 */
public record Place(Long step, long sampleOffset, Long sequenceId) {
  /** No step: for layers in eval. */
  public static final Place NONE = new Place(null, 0, null);

  /** A whole batch at a step. */
  public static Place atStep(long step) {
    return new Place(step, 0, null);
  }

  /** The part of the batch from this row on. */
  public Place from(long row) {
    return new Place(step, row, sequenceId);
  }

  /** In this sequence. */
  public Place inSequence(long id) {
    return new Place(step, sampleOffset, id);
  }
}
