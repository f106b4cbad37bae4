package watch

import (
	"bytes"
	"testing"

	"portcullis.dev/services/internal/journal"
)

func FuzzAMemoryIsReadAsItWasWrittenOrLeftOut(f *testing.F) {
	head := append([]byte(memoryHeader), make([]byte, saltSize)...)
	c := newChain([]byte("k"), head)
	file := append([]byte{}, head...)
	for i := range 3 {
		file = c.append(file, kept{Emergency, journal.Entry{Subject: "emergency.lockdown.L", Sequence: uint64(i), Data: []byte("x")}})
	}
	f.Add(file)
	f.Add(file[:len(file)-3])
	f.Add(head)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := readMemory(bytes.NewReader(data), []byte("k"))
		if err != nil && len(all) > 0 {
			t.Error("what is left out is answered")
		}
		if len(all) == 0 {
			return
		}
		// Only whoever has the key can have written what is read: it is a beginning of the one file.
		c, again := newChain([]byte("k"), data[:len(head)]), append([]byte{}, data[:len(head)]...)
		for _, e := range all {
			again = c.append(again, e)
		}
		if !bytes.HasPrefix(data, again) {
			t.Errorf("%q was read of %q", again, data)
		}
	})
}
