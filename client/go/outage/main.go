// Outage is the Go client for tests/clients/outage.py: it prints "ready" after a first call, then for
// each line of standard input makes a call and prints "ok" or why it failed.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"dropoutd/dropout"
)

func main() {
	ctx := context.Background()
	client := must(dropout.Dial(os.Args[1]))
	defer client.Close()
	session := must(client.CreateSession(ctx, dropout.SessionOptions{}))
	layer := must(session.CreateLayer(ctx, dropout.Bernoulli("hidden", 0.5)))
	x := dropout.NewTensor([]float32{1, 2}, 2)
	must(layer.Forward(ctx, x, dropout.AtStep(0)))
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for step := uint64(1); lines.Scan(); step++ {
		if _, err := layer.Forward(ctx, x, dropout.AtStep(step)); err != nil {
			fmt.Println("failed:", err)
		} else {
			fmt.Println("ok")
		}
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
