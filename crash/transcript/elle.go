package transcript

import (
	"bufio"
	"cmp"
	"fmt"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

// elle writes a history as Jepsen does, for Elle's rw-register checker: an EDN
// map a line, :invoke and then :ok, :fail or :info, of transactions of writes
// ([:w key value]) and reads ([:r key value]).
//
// Every write has a value of its own: 256 times its operation's ID, plus the
// number of the write in it. What a register of that kind cannot express is left
// out, which keeps a correct history correct: serializable reads and reads of
// the past, answers without values, compares, and keys with values that the run
// did not write. A register is never removed: of a key that a delete or a lease
// may have removed each life is a register of its own, key@REVISION by the
// revision it was created at, and what does not say of which life it is (a read
// of nothing, a write that nobody read or watched) is left out. Operations are
// kept in memory, because only the last tells which keys those are.
type elle struct {
	w       *bufio.Writer
	run     *history.Run
	txns    []txn
	keys    map[string]string  // every key, so that there is one string of each
	foreign map[string]bool    // keys left out
	removed map[string]bool    // single keys that a delete or a lease may have removed
	swept   map[[2]string]bool // intervals of them
	created map[string]int64   // by value: the create revision of its key
	clients int32
	skipped skipped
}

// skipped is what was left out.
type skipped struct{ other, stale, valueless, lifeless int }

type txn struct {
	invoke, ret int64
	client      int32
	outcome     history.Outcome
	micro       []micro
}

// micro is a micro-operation.
type micro struct {
	write bool
	key   string
	value string // as EDN
}

func newElle(w *bufio.Writer, run *history.Run) *elle {
	return &elle{
		w: w, run: run, keys: map[string]string{}, foreign: map[string]bool{}, removed: map[string]bool{}, swept: map[[2]string]bool{}, created: map[string]int64{},
	}
}

func (e *elle) record(r *Record) error {
	if r.Watch != nil {
		for i := range r.Watch.Events {
			e.learn(&r.Watch.Events[i].KV)
			if prev := r.Watch.Events[i].Prev; prev != nil {
				e.learn(prev)
			}
		}
	}
	o := r.Op
	if o == nil {
		return nil
	}
	e.clients = max(e.clients, o.Client)
	if o.Kind != history.KindKV && o.Kind != history.KindTxn {
		e.skipped.other++
		return nil
	}
	t := txn{invoke: o.Invoke, ret: o.Return, client: o.Client, outcome: o.Outcome}
	all := &history.Branches{Compares: o.Compares, Then: o.Then, Else: o.Else}
	e.removes(all)
	if o.Outcome == history.OK {
		branch := o.Then
		if o.Kind == history.KindTxn && !o.Succeeded {
			branch = o.Else
		}
		e.ran(&t, branch, o.Results)
	} else {
		e.maybe(&t, all)
	}
	if len(t.micro) > 0 {
		e.txns = append(e.txns, t)
	}
	return nil
}

func (e *elle) end() ([]string, error) {
	type line struct {
		at       int64
		returned bool
		txn      int
	}
	mortal := e.mortal()
	var lines []line
	for i := range e.txns {
		t := &e.txns[i]
		t.micro = e.lives(t.micro, mortal)
		if len(t.micro) > 0 {
			lines = append(lines, line{t.invoke, false, i}, line{t.ret, true, i})
		}
	}
	slices.SortFunc(lines, func(a, b line) int {
		if c := cmp.Compare(a.at, b.at); c != 0 {
			return c
		}
		if a.returned != b.returned { // at one time they are concurrent
			if a.returned {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.txn, b.txn)
	})
	// A process that does not know what became of its operation is over; its
	// client goes on as another, as Jepsen has it.
	process := make(map[int32]int64)
	for i, l := range lines {
		t := &e.txns[l.txn]
		if _, known := process[t.client]; !known {
			process[t.client] = int64(t.client)
		}
		kind := "invoke"
		if l.returned {
			kind = map[history.Outcome]string{history.OK: "ok", history.Failed: "fail", history.Unknown: "info"}[t.outcome]
		}
		_, err := fmt.Fprintf(e.w, "{:index %d, :time %d, :type :%s, :process %d, :f :txn, :value %s}\n",
			i, l.at-e.run.Start, kind, process[t.client], e.value(t.micro, l.returned && t.outcome == history.OK))
		if err != nil {
			return nil, err
		}
		if l.returned && t.outcome == history.Unknown {
			process[t.client] += int64(e.clients) + 1
		}
	}
	return e.notes(), nil
}

func (e *elle) notes() (notes []string) {
	for _, n := range []struct {
		count int
		what  string
	}{
		{e.skipped.other, "operations that are not of the KV API"},
		{len(e.foreign), "keys with values that no put of the load wrote, as of locks"},
		{e.skipped.stale, "serializable reads and reads of the past"},
		{e.skipped.valueless, "reads without values"},
		{e.skipped.lifeless, "reads and writes that do not tell which life of a removed key they are of"},
	} {
		if n.count > 0 {
			notes = append(notes, fmt.Sprintf("left out, as Elle's register cannot express it: %d %s", n.count, n.what))
		}
	}
	return notes
}
