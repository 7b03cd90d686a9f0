package crash

import (
	"reflect"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// node is a part of a JSON schema (draft 2020-12).
type node = map[string]any

// Schema is the JSON schema of scenario files, or with lab of lab files, for
// editors: https://json-schema.org/draft/2020-12.
func Schema(lab bool) map[string]any {
	s := &schema{defs: node{}}
	root := s.of(reflect.TypeFor[spec.Lab](), "lab")
	title := "a lab of etcdlab"
	if !lab {
		title = "a scenario of etcdlab"
		inner := root["properties"].(node)
		delete(inner, "apiVersion")
		delete(inner, "kind")
		delete(inner, "name")
		inner["name"] = text()
		root = object(node{
			"apiVersion": node{"const": spec.APIVersion}, "kind": node{"const": spec.ScenarioKind}, "name": text(), "doc": text(),
			"covers": node{"type": "array", "items": text()},
			"lab":    root, "run": s.of(reflect.TypeFor[spec.Run](), "run"),
		}, "apiVersion", "kind", "name", "run")
	} else {
		properties := root["properties"].(node)
		properties["apiVersion"], properties["kind"] = node{"const": spec.APIVersion}, node{"const": spec.Kind}
		root["required"] = []string{"apiVersion", "kind", "name"}
	}
	root["$schema"], root["title"], root["$defs"] = "https://json-schema.org/draft/2020-12/schema", title, s.defs
	return root
}

type schema struct{ defs node }

func object(properties node, required ...string) node {
	o := node{"type": "object", "additionalProperties": false, "properties": properties}
	if required != nil {
		o["required"] = required
	}
	return o
}

func text() node { return node{"type": "string"} }

// scalars are what stands for text that may be written without quotes.
var scalars = []string{"string", "number", "boolean"}

// enums are what fields of these names may be, by where they are.
func enums(path string) []string {
	switch path {
	case "lab.provider":
		return spec.Providers
	case "lab.disk.kind":
		return spec.DiskKinds
	case "lab.disk.fs":
		return spec.FSes
	case "lab.disk.profile", "run.profile":
		return spec.Profiles
	case "step.fault", "run.fault":
		return fault.Names()
	case "step.until":
		return schedule.Conditions
	}
	return nil
}

// of is the schema of a type that the decoder reads, by its yaml tags.
func (s *schema) of(t reflect.Type, path string) node {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return node{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$`}
	case reflect.TypeFor[spec.Size]():
		return node{"type": []string{"string", "integer"}, "pattern": `^[0-9]+(KiB|MiB|GiB|TiB)?$`}
	case reflect.TypeFor[spec.Members]():
		return node{"oneOf": []node{
			{"type": "integer", "minimum": 1, "maximum": spec.MaxMembers},
			{"type": "array", "minItems": 1, "maxItems": spec.MaxMembers, "items": s.fields(reflect.TypeFor[spec.Member](), path)},
		}}
	case reflect.TypeFor[spec.Traffic]():
		o := s.fields(t, "traffic")
		o["properties"].(node)["sizes"] = node{"type": "object", "additionalProperties": node{"type": "integer", "minimum": 1}}
		return node{"oneOf": []node{text(), o}}
	case reflect.TypeFor[spec.Step]():
		if s.defs["step"] == nil {
			s.defs["step"] = node{} // it contains itself
			o := s.fields(t, "step")
			o["allOf"] = parameters()
			s.defs["step"] = node{"oneOf": []node{{"enum": fault.Names()}, o}}
		}
		return node{"$ref": "#/$defs/step"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), path)
	case reflect.Struct:
		return s.fields(t, path)
	case reflect.Slice:
		return node{"type": "array", "items": s.of(t.Elem(), path)}
	case reflect.Map:
		value := node{"type": scalars}
		if t.Elem().Kind() == reflect.Int {
			value = node{"type": "integer", "minimum": 0}
		}
		return node{"type": "object", "additionalProperties": value}
	case reflect.Bool:
		return node{"type": "boolean"}
	case reflect.Int:
		return node{"type": "integer", "minimum": 0}
	}
	if words := enums(path); words != nil {
		return node{"enum": words}
	}
	return text()
}

func (s *schema) fields(t reflect.Type, path string) node {
	properties := node{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		properties[name] = s.of(f.Type, path+"."+name)
	}
	return object(properties)
}

// parameters say for each fault what with may have.
func parameters() (rules []node) {
	for _, k := range fault.Kinds() {
		with := node{}
		for _, p := range k.Params {
			value := node{"type": scalars, "description": p.Doc}
			if p.Type.Words != nil {
				value = node{"enum": p.Type.Words, "description": p.Doc}
			}
			with[p.Name] = value
		}
		rules = append(rules, node{
			"if":   node{"properties": node{"fault": node{"const": k.Name}}, "required": []string{"fault"}},
			"then": node{"properties": node{"with": object(with)}},
		})
	}
	return rules
}
