// A two-layer network with dropout between its layers, trained by hand to tell the two halves of a
// ring apart. The masks come from the server; the rest is plain Go.
//
//	two_layer_network [ADDRESS]
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"math/rand"
	"os"
	"time"

	"dropoutd/dropout"
)

const (
	samples = 64
	inputs  = 3
	hidden  = 32
	steps   = 200
	rate    = 0.5
)

// matrix is row-major.
type matrix struct {
	rows, columns int
	values        []float32
}

func newMatrix(rows, columns int, value func(row, column int) float32) matrix {
	m := matrix{rows, columns, make([]float32, rows*columns)}
	for i := range m.values {
		m.values[i] = value(i/columns, i%columns)
	}
	return m
}

func (m matrix) at(row, column int) float32 { return m.values[row*m.columns+column] }

func (m matrix) transposed() matrix {
	return newMatrix(m.columns, m.rows, func(i, j int) float32 { return m.at(j, i) })
}

func (m matrix) times(other matrix) matrix {
	return newMatrix(m.rows, other.columns, func(i, j int) float32 {
		var sum float32
		for k := 0; k < m.columns; k++ {
			sum += m.at(i, k) * other.at(k, j)
		}
		return sum
	})
}

func (m matrix) descend(gradient matrix) {
	for i := range m.values {
		m.values[i] -= rate * gradient.values[i]
	}
}

// network holds the weights; the layer between them is the server's.
type network struct {
	first, second matrix
	dropout       *dropout.Layer
}

type activations struct{ hidden, masked, answers matrix }

func (n *network) predict(
	ctx context.Context, x matrix, at dropout.Place,
) (activations, error) {
	var a activations
	sums := x.times(n.first)
	a.hidden = newMatrix(samples, hidden, func(i, j int) float32 {
		return float32(math.Max(0, float64(sums.at(i, j))))
	})
	forward, err := n.dropout.Forward(
		ctx, dropout.NewTensor(a.hidden.values, samples, hidden), at)
	if err != nil {
		return a, err
	}
	values, err := dropout.Elements[float32](forward.Output)
	a.masked = matrix{samples, hidden, values}
	sums = a.masked.times(n.second)
	a.answers = newMatrix(samples, 1, func(i, j int) float32 {
		return float32(1 / (1 + math.Exp(-float64(sums.at(i, j)))))
	})
	return a, err
}

func (n *network) train(ctx context.Context, x, target matrix, step uint64) error {
	a, err := n.predict(ctx, x, dropout.AtStep(step))
	if err != nil {
		return err
	}
	wrong := newMatrix(samples, 1, func(i, j int) float32 {
		return (a.answers.at(i, j) - target.at(i, j)) / samples
	})
	upstream := wrong.times(n.second.transposed())
	backward, err := n.dropout.Backward(
		ctx, dropout.NewTensor(upstream.values, samples, hidden), dropout.AtStep(step))
	if err != nil {
		return err
	}
	values, err := dropout.Elements[float32](backward.InputGradient)
	if err != nil {
		return err
	}
	gradient := newMatrix(samples, hidden, func(i, j int) float32 {
		if a.hidden.at(i, j) > 0 {
			return values[i*hidden+j]
		}
		return 0
	})
	n.second.descend(a.masked.transposed().times(wrong))
	n.first.descend(x.transposed().times(gradient))
	return nil
}

func run(address string) (int, error) {
	ctx := context.Background()
	client, err := dropout.Dial(address)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	session, err := client.CreateSession(ctx, dropout.SessionOptions{
		Seed: dropout.Seed(1), TTL: time.Minute})
	if err != nil {
		return 0, err
	}
	defer session.Delete(ctx)
	layer, err := session.CreateLayer(ctx, dropout.Bernoulli("hidden", 0.5))
	if err != nil {
		return 0, err
	}

	random := rand.New(rand.NewSource(1))
	weight := func(int, int) float32 { return 2*random.Float32() - 1 }
	n := network{newMatrix(inputs, hidden, weight), newMatrix(hidden, 1, weight), layer}
	x := newMatrix(samples, inputs, func(i, j int) float32 {
		angle := 2 * math.Pi * (float64(i) + 0.5) / samples
		return []float32{float32(math.Cos(angle)), float32(math.Sin(angle)), 1}[j]
	})
	target := newMatrix(samples, 1, func(i, _ int) float32 {
		if x.at(i, 1) > 0 {
			return 1
		}
		return 0
	})
	for step := uint64(0); step < steps; step++ {
		if err := n.train(ctx, x, target, step); err != nil {
			return 0, err
		}
	}
	if err := layer.Eval(ctx); err != nil {
		return 0, err
	}
	a, err := n.predict(ctx, x, dropout.Place{})
	right := 0
	for i := range target.values {
		if (a.answers.values[i] > 0.5) == (target.values[i] == 1) {
			right++
		}
	}
	return right, err
}

func main() {
	address := "127.0.0.1:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	right, err := run(address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d right after %d steps\n", right, samples, steps)
	if right < samples*95/100 {
		os.Exit(1)
	}
}
