package vm

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/etcdlab/etcdlab/lab/vm/qmp"
)

// hostPorts asks QEMU which ports of the host it forwards, by the guest's port.
// Only its monitor for people can say.
func hostPorts(ctx context.Context, q *qmp.Client) (map[int]int, error) {
	var text string
	ask := map[string]string{"command-line": "info usernet"}
	if err := q.Execute(ctx, "human-monitor-command", ask, &text); err != nil {
		return nil, fmt.Errorf("ask QEMU which ports it forwards: %w", err)
	}
	return parseUsernet(text), nil
}

// parseUsernet reads lines such as
//
//	TCP[HOST_FORWARD]  11       127.0.0.1 37913       10.0.2.15  2379     0     0
func parseUsernet(text string) map[int]int {
	ports := map[int]int{}
	s := bufio.NewScanner(strings.NewReader(text))
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) < 6 || f[0] != "TCP[HOST_FORWARD]" {
			continue
		}
		from, errFrom := strconv.Atoi(f[3])
		to, errTo := strconv.Atoi(f[5])
		if errFrom == nil && errTo == nil && from > 0 && to > 0 {
			ports[to] = from
		}
	}
	return ports
}
