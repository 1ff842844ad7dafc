// The teaching notebook's cells over gRPC, with its results beside the server's:
//
//	notebook [ADDRESS]
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"time"

	"dropoutd/dropout"
	pb "dropoutd/dropoutpb"
)

// np.random.seed(1); np.random.rand(4, 5) > 0.5
const kept = "01000" + "00001" + "01010" + "10100"

func arange(divisor float64) []float64 {
	values := make([]float64, len(kept))
	for i := range values {
		values[i] = float64(i) / divisor
	}
	return values
}

func masked(values []float64) []float64 {
	result := make([]float64, len(values))
	for i, value := range values {
		if kept[i] == '1' {
			result[i] = value * 2
		}
	}
	return result
}

// compare prints whether two cells are equal to the last bit.
func compare(name string, notebook, server []float64) bool {
	equal := len(notebook) == len(server)
	for i := range notebook {
		equal = equal && math.Float64bits(notebook[i]) == math.Float64bits(server[i])
	}
	if equal {
		fmt.Printf("%s: equal to the last bit\n", name)
	} else {
		fmt.Printf("%s: differs\n%v\n%v\n", name, notebook, server)
	}
	return equal
}

func replay(address string) (bool, error) {
	ctx := context.Background()
	client, err := dropout.Dial(address)
	if err != nil {
		return false, err
	}
	defer client.Close()
	session, err := client.CreateSession(ctx, dropout.SessionOptions{
		Seed: dropout.Seed(1), TTL: time.Minute})
	if err != nil {
		return false, err
	}
	defer session.Delete(ctx)
	config := dropout.Bernoulli("dropout", 0.5)
	config.Generator = pb.Generator_GENERATOR_NUMPY_LEGACY
	layer, err := session.CreateLayer(ctx, config)
	if err != nil {
		return false, err
	}

	x, gradient := arange(20), arange(50)
	input := dropout.NewTensor(x, 4, 5)
	forward, err := layer.Forward(ctx, input, dropout.AtStep(0))
	if err != nil {
		return false, err
	}
	backward, err := layer.Backward(ctx, dropout.NewTensor(gradient, 4, 5), dropout.AtStep(0))
	if err != nil {
		return false, err
	}
	if err := session.Eval(ctx); err != nil {
		return false, err
	}
	evaluated, err := layer.Forward(ctx, input, dropout.Place{})
	if err != nil {
		return false, err
	}

	allEqual := true
	for _, cell := range []struct {
		name     string
		notebook []float64
		server   *pb.Tensor
	}{
		{"the output", masked(x), forward.Output},
		{"the gradient with respect to the input", masked(gradient), backward.InputGradient},
		{"the output in eval, which is the input", x, evaluated.Output},
	} {
		values, err := dropout.Elements[float64](cell.server)
		if err != nil {
			return false, err
		}
		allEqual = compare(cell.name, cell.notebook, values) && allEqual
	}
	return allEqual, nil
}

func main() {
	address := "127.0.0.1:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	equal, err := replay(address)
	if err != nil {
		log.Fatal(err)
	}
	if !equal {
		os.Exit(1)
	}
}
