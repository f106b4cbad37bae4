package document

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

var yamlPrefix = regexp.MustCompile(`^yaml: (?:unmarshal errors:\s*)?(?:line (\d+): )?`)

// readYAML reads a document whose nodes know their lines.
func readYAML(text []byte) (Rows, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		words := err.Error()
		if at := yamlPrefix.FindStringSubmatch(words); at != nil && at[1] != "" {
			return nil, refuse("line %s: the document can't be read: %s", at[1], yamlPrefix.ReplaceAllString(words, ""))
		}
		return nil, refuse("the document can't be read as YAML: %s", yamlPrefix.ReplaceAllString(words, ""))
	}
	rows := yamlRows{Rows{}}
	if len(root.Content) == 0 {
		return rows.Rows, nil
	}
	if at := alias(&root); at != nil {
		return nil, refuse("line %d: a document can't have anchors and aliases. Write out what it repeats", at.Line)
	}
	top := root.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, refuse("line %d: a document is an object with lists, like devices", top.Line)
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		if err := rows.list(top.Content[i], top.Content[i+1]); err != nil {
			return nil, err
		}
	}
	return rows.Rows, nil
}

// alias finds an anchor or an alias: a few of them can stand for gigabytes.
func alias(node *yaml.Node) *yaml.Node {
	if node.Anchor != "" || node.Kind == yaml.AliasNode {
		return node
	}
	for _, child := range node.Content {
		if at := alias(child); at != nil {
			return at
		}
	}
	return nil
}

type yamlRows struct{ Rows }

func (r *yamlRows) list(key, value *yaml.Node) error {
	if !slices.Contains(lists, key.Value) {
		return refuse("line %d: %s", key.Line, unknownList(key.Value))
	}
	if value.Kind != yaml.SequenceNode {
		if value.Tag == "!!null" {
			return nil
		}
		return refuse("line %d: %s has to be a list", value.Line, key.Value)
	}
	for _, node := range value.Content {
		text, err := asJSON(node)
		if err != nil {
			return refuse("line %d: this can't be read", node.Line)
		}
		r.Rows[key.Value] = append(r.Rows[key.Value], Row{Where: fmt.Sprintf("line %d", node.Line), text: text})
	}
	return nil
}

func asJSON(node *yaml.Node) ([]byte, error) {
	var value any
	if err := node.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}
