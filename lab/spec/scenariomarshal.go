package spec

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// Marshal writes the scenario as YAML, which DecodeScenario reads back to the
// same scenario.
func (s *Scenario) Marshal() ([]byte, error) {
	lab, err := yaml.Marshal(&s.Lab)
	if err != nil {
		return nil, fmt.Errorf("write scenario %s as YAML: %w", s.Name, err)
	}
	var fields yaml.MapSlice
	if err := yaml.Unmarshal(lab, &fields); err != nil {
		return nil, fmt.Errorf("write scenario %s as YAML: %w", s.Name, err)
	}
	// The file says once what it is; an unsaid name is made up for each run.
	said := fields[:0]
	for _, f := range fields {
		if m, nested := f.Value.(map[string]any); f.Key != "apiVersion" && f.Key != "kind" && f.Value != "" && f.Value != nil && !(nested && len(m) == 0) {
			said = append(said, f)
		}
	}
	data, err := yaml.Marshal(struct {
		APIVersion string        `yaml:"apiVersion"`
		Kind       string        `yaml:"kind"`
		Name       string        `yaml:"name"`
		Doc        string        `yaml:"doc,omitempty"`
		Lab        yaml.MapSlice `yaml:"lab,omitempty"`
		Run        Run           `yaml:"run,omitempty"`
	}{APIVersion, ScenarioKind, s.Name, s.Doc, said, s.Run})
	if err != nil {
		return nil, fmt.Errorf("write scenario %s as YAML: %w", s.Name, err)
	}
	return data, nil
}

// MarshalYAML writes the sizes of values as the file has them: a mapping.
func (t Traffic) MarshalYAML() (any, error) {
	type bare Traffic // without this method
	if len(t.Sizes) == 0 {
		return bare(t), nil
	}
	sizes := yaml.MapSlice{}
	for _, s := range t.Sizes {
		sizes = append(sizes, yaml.MapItem{Key: s.Size.String(), Value: s.Weight})
	}
	return struct {
		bare  `yaml:",inline"`
		Sizes yaml.MapSlice `yaml:"sizes"`
	}{bare(t), sizes}, nil
}

// Clone shares no memory with s.
func (s *Scenario) Clone() *Scenario {
	data, err := s.Marshal()
	if err == nil {
		var c *Scenario
		if c, err = DecodeScenario(s.Name, data); err == nil {
			return c
		}
	}
	panic(fmt.Sprintf("a scenario that was read or drawn cannot be read again: %v\n%s", err, data))
}
