package scenario

import (
	"net/http"
	"testing"
	"time"

	"portcullis.dev/deploy/e2e/stack"
)

func TestAFactorEnrolledMinutesAgoDoesNotOpenThePanel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.AllInOne, stack.Options{}, 1) // PORTCULLIS_MFA_MIN_AGE is as it comes
	fresh, err := w.crew.Make(w.first)
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.Enroll(); err != nil {
		t.Fatal(err)
	}
	code, err := fresh.Code()
	if err != nil {
		t.Fatal(err)
	}
	a, err := fresh.Call(http.MethodPost, "/v1/grants", object{"code": code, "purpose": "freeze"})
	w.refused(http.StatusBadRequest, "MFA_TOO_NEW", a, err)
	if in := time.Until(w.moment(a, "details.usableTime")); in < 55*time.Minute || in > time.Hour {
		t.Errorf("the refusal says that the factor does in %v, want in an hour: %s", in, a)
	}
	w.freeze(w.first, nil) // the first administrator's is exempt at first start
}
