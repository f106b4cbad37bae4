package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/gateway/explain"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/telemetry"
)

// api serves the REST rows: grpc-gateway routes, reads and writes; the steps around it are ours.
type api struct {
	mux      *runtime.ServeMux
	routes   []route
	bodies   bodies
	refusals refusals
	tries    tries
	trace    *telemetry.Tracer
	// stopping ends when the gateway does, and streams with it.
	stopping context.Context
	stop     context.CancelFunc
}

func newAPI(d Deps, r refusals, b bodies) (*api, error) {
	a := &api{routes: routes(), bodies: b, refusals: r, tries: d.tries(), trace: d.Trace}
	a.stopping, a.stop = context.WithCancel(context.Background()) // #nosec G118 -- the gateway calls it when it stops
	a.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newCodec(r)),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithWriteContentLength(),
		runtime.WithIncomingHeaderMatcher(nothing),
		runtime.WithOutgoingHeaderMatcher(nothing),
		runtime.WithOutgoingTrailerMatcher(nothing),
		runtime.WithMetadata(accompany),
		runtime.WithForwardResponseOption(a.signed),
		runtime.WithErrorHandler(a.fail),
		runtime.WithRoutingErrorHandler(a.lost),
		runtime.WithStreamErrorHandler(a.cut),
	)
	return a, register(a.mux, d.Dial)
}

// register dials the services; each verifies the caller itself, so none is called in any other way.
func register(mux *runtime.ServeMux, dial func(string) (grpc.ClientConnInterface, error)) error {
	var all []error
	ctx := context.Background() // the generated code keeps it for nothing
	for service, add := range map[string]func(grpc.ClientConnInterface) error{
		rpc.Control: func(c grpc.ClientConnInterface) error {
			return errors.Join(
				emergencyv1.RegisterEmergenciesHandlerClient(ctx, mux, emergencyv1.NewEmergenciesClient(c)),
				emergencyv1.RegisterDrillsHandlerClient(ctx, mux, emergencyv1.NewDrillsClient(c)),
				emergencyv1.RegisterRostersHandlerClient(ctx, mux, emergencyv1.NewRostersClient(c)),
				emergencyv1.RegisterHoldsHandlerClient(ctx, mux, emergencyv1.NewHoldsClient(c)),
				emergencyv1.RegisterApprovalsHandlerClient(ctx, mux, emergencyv1.NewApprovalsClient(c)),
				emergencyv1.RegisterTicketsHandlerClient(ctx, mux, emergencyv1.NewTicketsClient(c)),
				emergencyv1.RegisterPoliciesHandlerClient(ctx, mux, emergencyv1.NewPoliciesClient(c)),
				auditv1.RegisterAuditHandlerClient(ctx, mux, auditv1.NewAuditClient(c)),
				auditv1.RegisterReportsHandlerClient(ctx, mux, auditv1.NewReportsClient(c)),
				auditv1.RegisterCheckpointsHandlerClient(ctx, mux, auditv1.NewCheckpointsClient(c)))
		},
		rpc.Identity: func(c grpc.ClientConnInterface) error {
			return errors.Join(
				identityv1.RegisterSignInsHandlerClient(ctx, mux, identityv1.NewSignInsClient(c)),
				identityv1.RegisterProviderSignInsHandlerClient(ctx, mux, identityv1.NewProviderSignInsClient(c)),
				identityv1.RegisterGrantsHandlerClient(ctx, mux, identityv1.NewGrantsClient(c)),
				identityv1.RegisterUsersHandlerClient(ctx, mux, identityv1.NewUsersClient(c)),
				identityv1.RegisterTokensHandlerClient(ctx, mux, identityv1.NewTokensClient(c)))
		},
		rpc.Gate: func(c grpc.ClientConnInterface) error {
			return errors.Join(
				gatev1.RegisterAccessHandlerClient(ctx, mux, gatev1.NewAccessClient(c)),
				gatev1.RegisterPostureHandlerClient(ctx, mux, gatev1.NewPostureClient(c)),
				gatev1.RegisterDevicesHandlerClient(ctx, mux, gatev1.NewDevicesClient(c)),
				gatev1.RegisterAccessGroupsHandlerClient(ctx, mux, gatev1.NewAccessGroupsClient(c)),
				gatev1.RegisterDirectoryHandlerClient(ctx, mux, gatev1.NewDirectoryClient(c)))
		},
		rpc.Broker: func(c grpc.ClientConnInterface) error {
			return sessionv1.RegisterSessionsHandlerClient(ctx, mux, sessionv1.NewSessionsClient(c))
		},
		rpc.Notifier: func(c grpc.ClientConnInterface) error {
			return errors.Join(
				notificationv1.RegisterNotificationsHandlerClient(ctx, mux, notificationv1.NewNotificationsClient(c)),
				notificationv1.RegisterSmtpAccountsHandlerClient(ctx, mux, notificationv1.NewSmtpAccountsClient(c)),
				notificationv1.RegisterMailboxesHandlerClient(ctx, mux, notificationv1.NewMailboxesClient(c)),
				notificationv1.RegisterSmsHandlerClient(ctx, mux, notificationv1.NewSmsClient(c)),
				notificationv1.RegisterWebhooksHandlerClient(ctx, mux, notificationv1.NewWebhooksClient(c)),
				notificationv1.RegisterTemplatesHandlerClient(ctx, mux, notificationv1.NewTemplatesClient(c)),
				notificationv1.RegisterOutboxHandlerClient(ctx, mux, notificationv1.NewOutboxClient(c)),
				notificationv1.RegisterInboxHandlerClient(ctx, mux, notificationv1.NewInboxClient(c)),
				notificationv1.RegisterEventsHandlerClient(ctx, mux, notificationv1.NewEventsClient(c)))
		},
	} {
		connection, err := dial(service)
		if err == nil {
			err = add(outgoing{connection})
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

func nothing(string) (string, bool) { return "", false }

// accompany tells the callee where the request comes from and what it is called.
func accompany(ctx context.Context, _ *http.Request) metadata.MD {
	e := exchangeOf(ctx)
	return metadata.Pairs(rpc.Address, e.address, rpc.RequestID, e.id)
}

// ServeHTTP answers one REST call.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := exchangeOf(r.Context())
	if e.route = a.find(r); e.route == nil {
		a.lost(r.Context(), a.mux, nil, w, r, http.StatusNotFound)
		return
	}
	ctx, span := a.trace.Edge(r.Context(), e.route.verb+" "+e.route.pattern, r.Header, e.believed)
	e.span = span
	defer e.ended()
	r = r.WithContext(ctx)
	done, err := a.prepare(w, r, e)
	defer done()
	if err != nil {
		a.refusals.read(err).write(w)
		return
	}
	if e.route.stream {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(a.stopping, cancel)()
		r = r.WithContext(ctx)
	}
	a.mux.ServeHTTP(w, r)
}

func (a *api) find(r *http.Request) *route {
	for i := range a.routes {
		if a.routes[i].verb == r.Method && a.routes[i].matches(r.URL.EscapedPath()) {
			return &a.routes[i]
		}
	}
	return nil
}

// prepare reads what the generated code then works on, and refuses what it must not see.
func (a *api) prepare(w http.ResponseWriter, r *http.Request, e *exchange) (done func(), err error) {
	done = func() {}
	if err := oneCredential(r.Header.Values("Authorization")); err != nil {
		return done, err
	}
	e.body, done, err = a.bodies.read(w, r, e.route)
	if err != nil {
		return done, err
	}
	if e.body, err = asJSON(r, e.route, e.body); err != nil {
		return done, err
	}
	if e.query, err = parseQuery(r.URL.RawQuery); err != nil {
		return done, err
	}
	e.sent = e.body
	if e.route.verb == http.MethodPatch {
		e.body = withoutNulls(e.body, e.route.input.Fields().ByTextName(e.route.body).Message())
	}
	r.Body = bodyOf(e.body)
	return done, nil
}

func oneCredential(values []string) error {
	if len(values) == 0 {
		return nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	printable := !strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' })
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || !printable {
		return fault.New(fault.Unauthenticated, "The header Authorization is not one Bearer token. Send Authorization: Bearer <token>")
	}
	return nil
}

// fail writes the refusal for a call that failed.
func (a *api) fail(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	e := exchangeOf(ctx)
	e.err = err
	a.note(ctx, e)
	if a.nobody(w, e, err) {
		return
	}
	a.refusals.read(worded(err, e.body)).write(w)
}

// note notes a refusal of a service by whom it concerns.
func (a *api) note(ctx context.Context, e *exchange) {
	if sent, ok := metadata.FromOutgoingContext(ctx); ok && e.route != nil {
		a.tries.refused(e.route.rpc, e.address, rpc.BearerOf(sent), fault.From(e.err))
	}
}

// worded explains the errors of the generated code itself, which come as bare text.
func worded(err error, body []byte) error {
	s, ok := status.FromError(err)
	if known := (*fault.Error)(nil); errors.As(err, &known) || !ok || s.Code() != codes.InvalidArgument || len(s.Details()) > 0 {
		return err
	}
	return explain.Refusal(s.Message(), body)
}

// lost answers for a path or a method that is none of ours.
func (a *api) lost(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, _ int) {
	var err error = fault.New(fault.NotFound, "There is no such path. /docs lists them all")
	if verbs := allowed(a.routes, r.URL.EscapedPath()); verbs != "" {
		w.Header().Set("Allow", verbs)
		err = notAllowed(r.Method, verbs)
	}
	a.refusals.read(err).write(w)
}

// cut ends a stream. One that has said nothing yet is refused like any other call; one that has gets a
// last line, {"error": …}, which codec writes.
func (a *api) cut(ctx context.Context, err error) *status.Status {
	e := exchangeOf(ctx)
	e.err = err
	if !e.answer.begun() {
		a.refusals.read(err).write(e.answer)
		e.answer.closed = true
	}
	return status.Convert(err)
}
