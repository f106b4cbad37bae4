package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/redis/go-redis/v9"
)

// Server says where Redis is.
type Server struct {
	// URL is redis://host:6379/0, or rediss:// for TLS. Others are named as ?addr=host:6379; with ?master_name=
	// all of them are Sentinels.
	URL string `koanf:"redis" help:"redis://host:6379/0, or rediss:// for TLS; others as ?addr=host:6379; with ?master_name= they are Sentinels"`
	// Cluster says that these are nodes of a Redis Cluster.
	Cluster          bool   `koanf:"redis-cluster" help:"these are nodes of a Redis Cluster"`
	Password         string `koanf:"redis-password" help:"the password of Redis, if it is not in its address"`
	SentinelPassword string `koanf:"redis-sentinel-password" help:"the password of the Sentinels"`
	// CA is the file of the CA of its certificates; the system's, if empty.
	CA string `koanf:"redis-ca" help:"the file of the CA of its certificates; by itself the system's"`
}

// Connect answers the index in Redis. It does not wait for it: Redis may be away at any moment.
func Connect(s Server) (*Redis, error) {
	client, err := s.client()
	if err != nil {
		return nil, fmt.Errorf("reading where Redis is (redis, redis-cluster, redis-ca): %w", err)
	}
	redis.SetLogger(quiet{})
	return NewRedis(client), nil
}

// client is for one server, for the master that Sentinels name, or for a cluster.
func (s Server) client() (redis.UniversalClient, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, errors.New("it is not of the form redis://host:6379/0") // its own words would tell the password
	}
	trust, err := s.trust(u)
	if err != nil {
		return nil, err
	}
	sentinel := u.Query().Has("master_name")
	if sentinel && s.Cluster {
		return nil, errors.New("a cluster has no Sentinels: leave out redis-cluster or master_name")
	}
	switch {
	case s.Cluster:
		o, err := redis.ParseClusterURL(s.URL)
		if err != nil {
			return nil, err
		}
		o.Password, o.TLSConfig = cmp.Or(s.Password, o.Password), cmp.Or(trust, o.TLSConfig)
		return redis.NewClusterClient(o), nil
	case sentinel:
		o, err := redis.ParseFailoverURL(s.URL)
		if err != nil {
			return nil, err
		}
		o.Password, o.SentinelPassword, o.TLSConfig = cmp.Or(s.Password, o.Password), s.SentinelPassword, cmp.Or(trust, o.TLSConfig)
		return redis.NewFailoverClient(o), nil
	}
	o, err := redis.ParseURL(s.URL)
	if err != nil {
		return nil, err
	}
	o.Password, o.TLSConfig = cmp.Or(s.Password, o.Password), cmp.Or(trust, o.TLSConfig)
	return redis.NewClient(o), nil
}

// trust is TLS with the CA of the configuration; nil leaves it to the address, and to the system's CAs.
func (s Server) trust(u *url.URL) (*tls.Config, error) {
	if s.CA == "" {
		return nil, nil
	}
	if u.Scheme != "rediss" {
		return nil, errors.New("a CA is for rediss://, this address speaks no TLS")
	}
	text, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("no certificate in the CA's file")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}

// quiet keeps the library's own lines out of the log: the indexer says once when Redis is away, and once
// when it is back.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
