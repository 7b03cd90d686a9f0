package spec

import (
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml"
)

// Marshal writes the lab as canonical YAML, which Decode reads back to the
// same lab.
func (l *Lab) Marshal() ([]byte, error) {
	data, err := yaml.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("write lab %s as YAML: %w", l.Name, err)
	}
	return data, nil
}

// MarshalYAML writes members that are a mere count as that count.
func (m Members) MarshalYAML() (any, error) {
	if reflect.DeepEqual(m, Count(len(m))) {
		return len(m), nil
	}
	return []Member(m), nil
}
