package journal

// Access is what one service may do, in the words of the design: which
// subjects it writes, which streams it watches, on which it works, and which
// heartbeats it sends and hears.
type Access struct {
	User  string
	Write []string // subjects, like "emergency.>"
	Read  []string // streams; whoever updates a stream reads it too
	Work  []string // streams
	Beat  []string // subjects
	Hear  []string // subjects
}

// Grants returns the NATS permissions that this access takes and no more: to
// publish, and to subscribe. None deletes, purges or changes a stream, and
// none hears the replies to another user.
func Grants(a Access) (publish, subscribe []string) {
	publish = append([]string{Servers, Health, "$JS.API.STREAM.MSG.GET." + beacons}, a.Write...)
	publish = append(publish, a.Beat...)
	for _, stream := range append(append([]string{}, a.Read...), a.Work...) {
		publish = append(publish,
			"$JS.API.STREAM.INFO."+stream,
			"$JS.API.STREAM.MSG.GET."+stream,
			"$JS.API.CONSUMER.CREATE."+stream+".>",
			"$JS.API.CONSUMER.MSG.NEXT."+stream+".>",
		)
	}
	for _, stream := range a.Work {
		publish = append(publish, "$JS.ACK."+stream+".>")
	}
	return publish, append([]string{inbox(a.User) + ".>"}, a.Hear...)
}

// BootstrapGrants returns the permissions of the credential that calls Create
// and Restore: it makes streams, out of nothing or out of a snapshot, and
// tightens them, and can neither read nor remove what is in them.
func BootstrapGrants(user string) (publish, subscribe []string) {
	return []string{
		Servers, "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.UPDATE.*",
		"$JS.API.STREAM.RESTORE.*", "$JS.SNAPSHOT.RESTORE.>",
	}, []string{inbox(user) + ".>"}
}

// BackupGrants returns the permissions of the credential that calls Snapshot:
// it reads everything, and changes nothing.
func BackupGrants(user string) (publish, subscribe []string) {
	return []string{"$JS.API.STREAM.SNAPSHOT.*", "$JS.SNAPSHOT.ACK.>"}, []string{inbox(user) + ".>"}
}
