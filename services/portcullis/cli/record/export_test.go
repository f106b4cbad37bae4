package record

import (
	"encoding/json"
	"testing"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
)

func TestABitThatDecodersPassOverIsABitOfTheExport(t *testing.T) {
	for line, want := range map[string]bool{
		`{"sequence":"1","subject":"emergency.genesis","data":"eA=="}`: true,
		`{"sequence":"1","subject":"emergency.genesis","data":"eB=="}`: false,
	} {
		err := decoded(json.RawMessage(line), func(*auditv1.StoredEntry) {})
		if (err == nil) != want {
			t.Errorf("%s: %v", line, err)
		}
	}
}
