package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/etcdlab/etcdlab/lab"
)

// Decode reads what a process beside a member is started with: a field that is
// not known is an error.
func Decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// CheckConfig says what is wrong with the names in such a configuration, or with
// its paths.
func CheckConfig(labName, member string, paths map[string]string) error {
	if err := lab.CheckName("lab", labName); err != nil {
		return err
	}
	if err := lab.CheckName("member", member); err != nil {
		return err
	}
	for what, path := range paths {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%s %q is not an absolute path", what, path)
		}
	}
	return nil
}
