package measure_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/measure"
)

func TestTimesAreOfThoseWhoWereThereAndWereMeasured(t *testing.T) {
	all := []*emergencyv1.Receipt{{HeldMs: new(uint32(40))}, {HeldMs: new(uint32(9000)), BeganAfter: true}, {}, {HeldMs: new(uint32(10))}, {HeldMs: new(uint32(20))}, {HeldMs: new(uint32(30))}}
	times := measure.TimesOf(all)
	got := map[int]uint32{}
	for _, percent := range []int{0, 1, 25, 26, 50, 75, 76, 99, 100} {
		got[percent] = *times.Within(percent)
	}
	want := map[int]uint32{0: 10, 1: 10, 25: 10, 26: 20, 50: 20, 75: 30, 76: 40, 99: 40, 100: 40}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if none := measure.TimesOf(all[1:3]).Within(50); none != nil {
		t.Errorf("of none that were measured, half took %d ms", *none)
	}
}
