package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"

	"dropoutd/dropout"
)

func main() {
	ctx := context.Background()
	client := must(dropout.Dial(os.Args[1]))
	defer client.Close()
	session := must(client.CreateSession(ctx, dropout.SessionOptions{Seed: dropout.Seed(1)}))
	defer session.Delete(ctx)
	layer := must(session.CreateLayer(ctx, dropout.Bernoulli("hidden", 0.5)))
	x := dropout.NewTensor([]float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 16)
	y := must(dropout.Elements[float32](must(layer.Forward(ctx, x, dropout.AtStep(0))).Output))
	dx := must(layer.Backward(ctx, x, dropout.AtStep(0))).InputGradient
	same := reflect.DeepEqual(must(dropout.Elements[float32](dx)), y)
	fmt.Println(strings.Trim(fmt.Sprint(y), "[]"), same)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
