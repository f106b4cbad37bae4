package doors

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
)

const (
	// usual is how many rows the API tells where nothing is asked for, and every how many it tells at most.
	usual, every = 1000, 20_000
	// looked is how many enforcers are looked at for whose clock is wrong: these come first.
	looked = 100
)

// limitFlag adds the flag that every list has.
func limitFlag(command *cobra.Command) *int {
	return command.Flags().Int("limit", usual, fmt.Sprintf("rows at most, of more those that need a look; 0 is all, up to %d", every))
}

// mostOf is a limit as the API takes it: nothing where it is the usual, so that a gateway of an earlier version takes it, too.
func mostOf(limit int) (url.Values, error) {
	switch {
	case limit == usual:
		return url.Values{}, nil
	case limit == 0:
		limit = every
	case limit < 0 || limit > every:
		return nil, app.Usagef("--limit %d: name 1 to %d rows, or 0 for all", limit, every)
	}
	return url.Values{"most": {strconv.Itoa(limit)}}, nil
}

// few asks for so many rows at most. A gateway of an earlier version refuses to be asked that, and tells all.
func (d Doors) few(ctx context.Context, path string, most int, out proto.Message) error {
	ask := api.Request{Method: http.MethodGet, Path: path, Query: url.Values{"most": {strconv.Itoa(most)}}, Out: out}
	err := d.Client().Do(ctx, ask)
	if api.IsRefusal(err, fault.InvalidArgument) {
		ask.Query = nil
		err = d.Client().Do(ctx, ask)
	}
	return err
}

// moreReceipts says how many are left out, and whether one of these should be looked at; nothing if none is.
func moreReceipts(of *emergencyv1.ListReceiptsResponse) string {
	confirmed := int(of.GetSummary().GetConfirmed())
	for _, r := range of.GetReceipts() {
		if r.GetState() == emergencyv1.Receipt_CONFIRMED {
			confirmed--
		}
	}
	return more(int(of.GetOmittedReceipts()), confirmed, "confirmed")
}

// moreEnforcers says the same of enforcers.
func moreEnforcers(of *emergencyv1.ListEnforcersResponse) string {
	sum := of.GetSummary()
	well, word := int(sum.GetCurrent()+sum.GetBehind()+sum.GetDrained()), "fresh"
	for _, e := range of.GetEnforcers() {
		if e.GetFresh() || e.GetPresence() == emergencyv1.Enforcer_DRAINED {
			well--
		}
	}
	if sum.GetDrained() > 0 {
		word = "fresh or drained"
	}
	return more(int(of.GetOmittedEnforcers()), well, word)
}

func more(omitted, well int, word string) string {
	switch {
	case omitted == 0:
		return ""
	case well >= omitted:
		return fmt.Sprintf("and %d more, all %s", omitted, word)
	}
	return fmt.Sprintf("and %d more, %d of them not %s: --limit 0 shows all", omitted, omitted-well, word)
}
