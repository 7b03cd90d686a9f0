package traffic

import (
	"context"
	"fmt"

	"github.com/etcdlab/etcdlab/crash/history"
)

var kubernetesOperations = []Operation{
	{"kube-create", "an object, if there is none", kvStep(kubeCreate)},
	{"kube-update", "an object, if it is as last seen; else get it", kvStep(kubeUpdate)},
	{"kube-delete", "an object, if it is as last seen; else get it", kvStep(kubeDelete)},
	{"kube-get", "an object", kvStep(func(c *client, op *history.Op) {
		op.Then = []history.Request{{Verb: history.Range, Key: c.object()}}
	})},
	{"kube-list", "all objects in pages, each from where the last ended at the first page's revision", kubeList},
}

// registry is where API servers keep objects, below the run's prefix.
const registry = "registry/pods/"

// pageSize is small beside an API server's 500, so that there are pages.
const pageSize = 20

func (c *client) object() string {
	n := c.rng.IntN(c.load.opts.Profile.Keys)
	return fmt.Sprintf("%s%sns%d/pod-%05d", c.load.opts.Prefix, registry, n%5, n)
}

func kubeCreate(c *client, op *history.Op) {
	key := c.object()
	op.Kind = history.KindTxn
	op.Compares = []history.Compare{{Key: key, Target: history.CompareCreate, Result: history.Equal}}
	op.Then = []history.Request{{Verb: history.Put, Key: key}}
	op.Else = []history.Request{{Verb: history.Range, Key: key}}
}

func kubeUpdate(c *client, op *history.Op) {
	c.ifSeen(op, history.Put)
}

func kubeDelete(c *client, op *history.Op) {
	c.ifSeen(op, history.Delete)
}

// ifSeen does something to an object that is as this client last saw it.
func (c *client) ifSeen(op *history.Op, verb history.Verb) {
	key := c.object()
	op.Kind = history.KindTxn
	op.Compares = []history.Compare{{Key: key, Target: history.CompareMod, Result: history.Equal, Number: c.seen[key]}}
	op.Then = []history.Request{{Verb: verb, Key: key}}
	op.Else = []history.Request{{Verb: history.Range, Key: key}}
}

func kubeList(c *client, ctx context.Context) bool {
	from := c.load.opts.Prefix + registry
	end := prefixEnd(from)
	revision := int64(0)
	for page := 0; page < 20; page++ {
		op := c.begin(ctx)
		if op == nil {
			return false
		}
		op.Then = []history.Request{{Verb: history.Range, Key: from, End: end, Limit: pageSize, Revision: revision}}
		c.do(ctx, op)
		if !c.finish(ctx, op) {
			return false
		}
		if op.Outcome != history.OK || !op.Results[0].More || len(op.Results[0].KVs) == 0 {
			return true
		}
		if revision == 0 {
			revision = op.Revision
			c.load.newest.listed.Store(revision)
		}
		kvs := op.Results[0].KVs
		from = kvs[len(kvs)-1].Key + "\x00"
	}
	return true
}
