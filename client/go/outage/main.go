// Outage is the Go client for tests/clients/outage.py and connections.py: it prints "ready" after a
// first call, then for each line of standard input makes as many calls at once as it says, and prints
// "ok" or why one failed.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"

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
	step := uint64(0)
	for lines.Scan() {
		failures := make(chan error)
		count := must(strconv.Atoi(lines.Text()))
		for i := 0; i < count; i++ {
			step++
			go func(step uint64) {
				_, err := layer.Forward(ctx, x, dropout.AtStep(step))
				failures <- err
			}(step)
		}
		said := "ok"
		for i := 0; i < count; i++ {
			if err := <-failures; err != nil {
				said = fmt.Sprint("failed: ", err)
			}
		}
		fmt.Println(said)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
