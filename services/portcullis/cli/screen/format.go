package screen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// WriteJSON prints a message as the API has it.
func WriteJSON(to io.Writer, message proto.Message) error {
	text, err := jsonOf(message)
	if err != nil {
		return err
	}
	_, err = to.Write(append(text, '\n'))
	return err
}

// jsonOf lays the text out itself, for protojson varies its white space on purpose.
func jsonOf(message proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	return text.Bytes(), nil
}

// WriteYAML prints a message as the API has it, in YAML, fields in the same order.
func WriteYAML(to io.Writer, message proto.Message) error {
	text, err := jsonOf(message)
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil { // JSON is YAML
		return fmt.Errorf("encoding the answer: %w", err)
	}
	unstyle(&document)
	encoder := yaml.NewEncoder(to)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	return encoder.Close()
}

func unstyle(node *yaml.Node) {
	node.Style = 0
	for _, child := range node.Content {
		unstyle(child)
	}
}
