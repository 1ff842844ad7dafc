package dropout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	pb "dropoutd/dropoutpb"
)

// Float is a Go type that the service has. float16 and bfloat16 tensors are a pb.Tensor with their
// bytes.
type Float interface{ float32 | float64 }

// NewTensor is a tensor of these elements, row-major; they are copied. The server checks that the
// shape is theirs.
func NewTensor[T Float](elements []T, shape ...int64) *pb.Tensor {
	var data []byte
	var dtype pb.DataType
	switch values := any(elements).(type) {
	case []float32:
		dtype = pb.DataType_DATA_TYPE_FLOAT32
		data = make([]byte, 4*len(values))
		for i, value := range values {
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(value))
		}
	case []float64:
		dtype = pb.DataType_DATA_TYPE_FLOAT64
		data = make([]byte, 8*len(values))
		for i, value := range values {
			binary.LittleEndian.PutUint64(data[8*i:], math.Float64bits(value))
		}
	}
	return &pb.Tensor{Dtype: dtype, Shape: shape, Storage: &pb.Tensor_Data{Data: data}}
}

// Elements is a copy of a tensor's elements. It is an error to ask for another type than the
// tensor's.
func Elements[T Float](tensor *pb.Tensor) ([]T, error) {
	var zero T
	wanted, size := pb.DataType_DATA_TYPE_FLOAT32, 4
	if _, ok := any(zero).(float64); ok {
		wanted, size = pb.DataType_DATA_TYPE_FLOAT64, 8
	}
	if tensor.GetDtype() != wanted {
		return nil, fmt.Errorf("dropout: elements of %T of a tensor of %v", zero, tensor.GetDtype())
	}
	data := tensor.GetData()
	elements := make([]T, len(data)/size)
	err := binary.Read(bytes.NewReader(data), binary.LittleEndian, elements)
	return elements, err
}

// Kept tells whether an element (row-major in the mask's shape) of a mask of bits is kept.
func Kept(mask *pb.Mask, index int) bool { return mask.GetBits()[index/8]>>(index%8)&1 == 1 }
