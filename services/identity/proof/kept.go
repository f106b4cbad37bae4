package proof

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// Kept are people's factors as they were known last, for when the journal is away: secrets are as sealed in it as on
// disk. What is used up of one then is known to this process alone.
type Kept struct {
	mu      sync.Mutex
	factors map[string]*identityv1.FactorRecord
}

// NewKept knows nobody's.
func NewKept() *Kept { return &Kept{factors: map[string]*identityv1.FactorRecord{}} }

// Put takes the record of a person as the journal has it.
func (k *Kept) Put(name string, data []byte) error {
	f := new(identityv1.FactorRecord)
	if err := proto.Unmarshal(data, f); err != nil {
		return fmt.Errorf("reading the factor of %s: %w", name, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.factors[name] = f
	return nil
}

// Use lets judge look at a person's factor, an empty one if none is known of this uid, and change it.
func (k *Kept) Use(name, uid string, judge func(*identityv1.FactorRecord) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.factors[name]
	if f == nil || uid == "" || f.GetUid() != uid {
		f = &identityv1.FactorRecord{}
	}
	return judge(f)
}
