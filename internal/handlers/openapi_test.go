package handlers_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// schema is as much of the description as the test reads.
type schema struct {
	Ref        string             `json:"$ref"`
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
	More       json.RawMessage    `json:"additionalProperties"`
}

type described struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct {
				Schema *schema `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

// undescribed gives the fields of an answer that the description does not name.
func (d described) undescribed(at string, s *schema, v any) []string {
	for s != nil && s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	if s == nil {
		return []string{at}
	}
	var missing []string
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			missing = append(missing, d.undescribed(at+"[]", s.Items, item)...)
		}
	case map[string]any:
		for name, value := range v {
			if property, ok := s.Properties[name]; ok {
				missing = append(missing, d.undescribed(at+"."+name, property, value)...)
			} else if s.More == nil || string(s.More) == "false" {
				missing = append(missing, at+"."+name)
			}
		}
	}
	return missing
}

// Every field that the API answers with is in its description.
func TestOpenAPIDescribesTheAnswers(t *testing.T) {
	h, _ := newDesk("", &fakeDesk{})
	var api described
	if err := json.Unmarshal(ask(h, "GET", "/api/v1/openapi.json", "").Body.Bytes(), &api); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for path, methods := range api.Paths {
		for method := range methods {
			if path == "/api/v1/openapi.json" {
				continue
			}
			id := "ev_a"
			switch {
			case strings.Contains(path, "/replays/"):
				id = "run_a"
			case strings.Contains(path, "/rejected/"):
				id = "rj_a"
			}
			w := ask(h, strings.ToUpper(method), strings.Replace(path, "{id}", id, 1)+"?key=k", "{}") // one path needs the key
			code := "200"
			if w.Code == 201 {
				code = "201"
			}
			answer, ok := methods[method].Responses[code]
			if w.Code > 201 || !ok {
				t.Errorf("%s %s = %d %s, which is not described", method, path, w.Code, w.Body)
				continue
			}
			asked++
			for _, field := range api.undescribed("", answer.Content["application/json"].Schema, parsed(t, w.Body.String())) {
				t.Errorf("%s %s: %s is not described", method, path, field)
			}
		}
	}
	if asked < 18 {
		t.Errorf("only %d answers were looked at", asked)
	}
}
