package outbox

import "testing"

func FuzzAListOfDeliveriesIsNarrowedOrRefused(f *testing.F) {
	for _, seed := range []string{"", "state=SENT AND method=SMS", "since=2026-11-25T00:00:00Z", "before=9999-99", "text=a AND contact=b*", "MTIzIGFh", "LTEgYQ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if filter, err := filterOf(text); err == nil {
			_ = filter.on(newWords())(&row{})
		}
		place, err := placeOf(text)
		if err != nil || place == nil {
			return
		}
		if _, ok := keyOf(place.id.String()); !ok {
			t.Fatalf("%q begins at %s, which is no delivery", text, place.id)
		}
		page([]*row{{created: 1}, {created: 2}}, place, 1, func(*row) bool { return true })
	})
}
