package dropout.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dropout.v1.DataType;
import dropout.v1.Mask;
import dropout.v1.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Tensors and Java's arrays, row-major. Elements are copied. float16 and bfloat16 are a Tensor with
 * their bytes.
 */
public final class Tensors {
  private Tensors() {}

  /** A float32 tensor; the server checks that the shape is the elements'. */
  public static Tensor of(float[] elements, long... shape) {
    ByteBuffer data = littleEndian(ByteBuffer.allocate(Float.BYTES * elements.length));
    data.asFloatBuffer().put(elements);
    return of(DataType.DATA_TYPE_FLOAT32, data, shape);
  }

  /** A float64 tensor. */
  public static Tensor of(double[] elements, long... shape) {
    ByteBuffer data = littleEndian(ByteBuffer.allocate(Double.BYTES * elements.length));
    data.asDoubleBuffer().put(elements);
    return of(DataType.DATA_TYPE_FLOAT64, data, shape);
  }

  /** A float32 tensor's elements; throws IllegalArgumentException for another type. */
  public static float[] floats(Tensor tensor) {
    ByteBuffer data = dataOf(tensor, DataType.DATA_TYPE_FLOAT32);
    float[] elements = new float[data.remaining() / Float.BYTES];
    data.asFloatBuffer().get(elements);
    return elements;
  }

  /** A float64 tensor's elements; throws IllegalArgumentException for another type. */
  public static double[] doubles(Tensor tensor) {
    ByteBuffer data = dataOf(tensor, DataType.DATA_TYPE_FLOAT64);
    double[] elements = new double[data.remaining() / Double.BYTES];
    data.asDoubleBuffer().get(elements);
    return elements;
  }

  /** Whether an element (row-major in the mask's shape) of a mask of bits is kept. */
  public static boolean isKept(Mask mask, int index) {
    return (mask.getBits().byteAt(index / 8) >> (index % 8) & 1) == 1;
  }

  private static ByteBuffer littleEndian(ByteBuffer buffer) {
    return buffer.order(ByteOrder.LITTLE_ENDIAN);
  }

  private static Tensor of(DataType dtype, ByteBuffer data, long... shape) {
    // The buffer is this method's own, so that it need not be copied again.
    ByteString bytes = UnsafeByteOperations.unsafeWrap(data.rewind());
    return Tensor.newBuilder()
        .setDtype(dtype)
        .addAllShape(Arrays.stream(shape).boxed().toList())
        .setData(bytes)
        .build();
  }

  private static ByteBuffer dataOf(Tensor tensor, DataType wanted) {
    if (tensor.getDtype() != wanted) {
      throw new IllegalArgumentException("the tensor is of " + tensor.getDtype());
    }
    return littleEndian(tensor.getData().asReadOnlyByteBuffer());
  }
}
