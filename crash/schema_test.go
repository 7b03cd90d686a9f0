package crash

import (
	"encoding/json"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v5"
)

// The schema accepts every built-in scenario, and nothing that the decoder would
// refuse for its form.
func TestSchema(t *testing.T) {
	compiled := compile(t, false)
	for _, s := range Scenarios() {
		if err := compiled.Validate(value(t, s.File)); err != nil {
			t.Errorf("%s: %#v", s.Name, err)
		}
	}
	head := "apiVersion: etcdlab.dev/v1alpha1\nkind: Scenario\nname: x\n"
	for _, bad := range []string{
		"run: {fualt: kill}", "run: {fault: kil}", "run: {schedule: [{fault: power-loss, with: {cut: tron}}]}",
		"run: {schedule: [{fault: power-loss, with: {cutt: torn}}]}", "run: {duration: soon}", "run: {rounds: many}",
		"lab: {disk: {fs: zfs}}\nrun: {fault: kill}", "lab: {members: 0}\nrun: {fault: kill}", "run: {schedule: [{parallel: [7]}]}",
	} {
		if compiled.Validate(value(t, []byte(head+bad))) == nil {
			t.Errorf("the schema accepts %s", bad)
		}
	}
	lab := compile(t, true)
	if err := lab.Validate(value(t, []byte("apiVersion: etcdlab.dev/v1alpha1\nkind: Lab\nname: x\nmembers: [{name: m1}]\netcd: {args: {snapshot-count: 100}}\ndisk: {size: 1GiB}"))); err != nil {
		t.Errorf("%#v", err)
	}
	if lab.Validate(value(t, []byte("apiVersion: etcdlab.dev/v1alpha1\nkind: Lab\nname: x\nmembars: 3"))) == nil {
		t.Error("the schema accepts an unknown field")
	}
}

func compile(t *testing.T, lab bool) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(Schema(lab))
	if err != nil {
		t.Fatal(err)
	}
	s, err := jsonschema.CompileString("schema.json", string(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// value is a YAML document as JSON has it.
func value(t *testing.T, document []byte) (v any) {
	t.Helper()
	text, err := yaml.YAMLToJSON(document)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}
