package cli_test

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// manyDoors are very many, all of which have confirmed, and of which two are not fresh, one with a wrong clock. Told are the two and others up
// to the bound; of an earlier version, which takes none, all of them, and nothing is summed up.
type manyDoors struct {
	many  int
	older bool
}

func (d manyDoors) told(r *http.Request) (int, *no) {
	asked := r.URL.Query().Get("most")
	switch {
	case d.older && asked != "":
		return 0, refuse(400, "INVALID_ARGUMENT", "This call takes no parameter most. /docs lists what it takes")
	case d.older:
		return d.many, nil
	case asked == "":
		return min(d.many, 1000), nil
	}
	most, err := strconv.ParseUint(asked, 10, 32)
	if err != nil || most > 20_000 {
		return 0, refuse(400, "INVALID_ARGUMENT", "most: ask for 20000 at most")
	}
	return min(d.many, int(most)), nil
}

func (d manyDoors) receipts(r *http.Request) ([]byte, *no) {
	told, refused := d.told(r)
	if refused != nil {
		return nil, refused
	}
	answer := &emergencyv1.ListReceiptsResponse{}
	for i := range told {
		answer.Receipts = append(answer.Receipts, &emergencyv1.Receipt{Enforcer: fmt.Sprintf("gate-%05d", i), Service: "access-gate", State: emergencyv1.Receipt_CONFIRMED, EndedSessions: 1})
	}
	if !d.older {
		answer.OmittedReceipts = uint32(d.many - told)
		answer.Summary = &emergencyv1.ReceiptSummary{Confirmed: uint32(d.many), EndedSessions: uint32(d.many)}
	}
	return encode(answer), nil
}

func (d manyDoors) enforcers(r *http.Request) ([]byte, *no) {
	told, refused := d.told(r)
	if refused != nil {
		return nil, refused
	}
	answer := &emergencyv1.ListEnforcersResponse{}
	for i := range told {
		e := &emergencyv1.Enforcer{Id: fmt.Sprintf("gate-%05d", i), Service: "access-gate", Fresh: i > 1}
		if i == 0 {
			e.ClockSkew = durationpb.New(-9 * time.Second)
		}
		answer.Enforcers = append(answer.Enforcers, e)
	}
	if !d.older {
		answer.OmittedEnforcers = uint32(d.many - told)
		answer.Summary = &emergencyv1.EnforcerSummary{Current: uint32(d.many - 2), Silent: 2, Skewed: 1}
	}
	return encode(answer), nil
}
