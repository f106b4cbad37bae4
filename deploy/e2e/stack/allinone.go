package stack

import "path/filepath"

// AllInOne starts `portcullis serve` on an empty data folder.
func AllInOne(folder string, o Options) (*Stack, error) {
	return serve(folder, o, "serve")
}

// Demo starts `portcullis serve --demo`, with its data in the folder data, as `make run` does.
func Demo(folder string, o Options) (*Stack, error) {
	return serve(folder, o, "serve", "--demo")
}

func serve(folder string, o Options, arguments ...string) (*Stack, error) {
	binary, err := Binary("portcullis")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(5)
	if err != nil {
		return nil, err
	}
	s := newStack(folder)
	if err := s.volume("data", o.Volume); err != nil {
		return nil, err
	}
	s.HTTP, s.GRPC, s.SSH = "http://"+loopback(ports[0]), loopback(ports[1]), loopback(ports[2])
	s.SPOE, s.Postgres = loopback(ports[3]), loopback(ports[4])
	env := append(environment(
		"PORTCULLIS_DATA="+filepath.Join(folder, "data"),
		"PORTCULLIS_HTTP="+loopback(ports[0]),
		"PORTCULLIS_GRPC="+s.GRPC,
		"PORTCULLIS_SSH="+s.SSH,
		"PORTCULLIS_SPOE="+s.SPOE,
		"PORTCULLIS_POSTGRES="+s.Postgres,
		"PORTCULLIS_ADMIN_USER="+s.Admin.User,
		"PORTCULLIS_ADMIN_PASSWORD="+s.Admin.Password,
		"PORTCULLIS_ADMIN_TOTP_SECRET="+s.Admin.TOTPSecret,
	), o.Environment...)
	s.starts["portcullis"] = func() (*Process, error) {
		return spawn(folder, "portcullis", binary, env, arguments...)
	}
	s.readiness["portcullis"] = s.HTTP + "/readyz"
	return s, s.Restart("portcullis")
}
