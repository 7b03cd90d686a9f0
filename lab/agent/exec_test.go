package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

func TestExecOverTheWire(t *testing.T) {
	f := &fake{exec: func(ctx context.Context, argv []string, in io.Reader, out, errout io.Writer) (int, error) {
		switch argv[0] {
		case "cat":
			_, err := io.Copy(out, in)
			return len(argv), err
		case "complain":
			_, err := io.WriteString(errout, "no")
			return 1, err
		case "hang":
			<-ctx.Done()
			return 0, ctx.Err()
		case "deaf":
			return 0, nil
		}
		return 0, Invalid("no such program")
	}}
	c := serveFake(t, f)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	big := strings.Repeat("0123456789abcdef", 100_000) // many frames
	var out, complaint bytes.Buffer
	if exit, err := c.Exec(ctx, []string{"cat", "-"}, strings.NewReader(big), &out, &complaint); exit != 2 || err != nil || out.String() != big || complaint.Len() != 0 {
		t.Errorf("cat: %d %v, %d of %d bytes", exit, err, out.Len(), len(big))
	}
	out.Reset()
	if exit, err := c.Exec(ctx, []string{"complain"}, nil, &out, &complaint); exit != 1 || err != nil || complaint.String() != "no" || out.Len() != 0 {
		t.Errorf("complain: %d %v %q %q", exit, err, &out, &complaint)
	}
	// What it does not read does not keep it.
	if exit, err := c.Exec(ctx, []string{"deaf"}, strings.NewReader(big), io.Discard, io.Discard); exit != 0 || err != nil {
		t.Errorf("deaf: %d %v", exit, err)
	}
	var usage *lab.UsageError
	if _, err := c.Exec(ctx, []string{"nothing"}, nil, io.Discard, io.Discard); !errors.As(err, &usage) || !strings.Contains(err.Error(), "no such program") {
		t.Errorf("nothing: %v", err)
	}
	if _, err := c.Exec(ctx, nil, nil, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "argv") {
		t.Errorf("no command: %v", err)
	}
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if _, err := c.Exec(short, []string{"hang"}, nil, io.Discard, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	var buf bytes.Buffer
	w := &framer{w: &buf}
	for _, kind := range []byte{frameIn, frameInEnd, frameOut, frameError, frameExit} {
		if err := w.frame(kind, []byte("data")); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(buf.Bytes())
	f.Add([]byte("i\xff\xff\xff\xff"))
	f.Add([]byte("?\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		var again bytes.Buffer
		w := &framer{w: &again}
		for {
			kind, data, err := readFrame(r)
			if err != nil {
				break
			}
			if len(data) > maxFrame {
				t.Fatalf("a frame of %d bytes", len(data))
			}
			if err := w.frame(kind, data); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(in, again.Bytes()) {
			t.Errorf("%q was read as %q", in, again.Bytes())
		}
	})
}
