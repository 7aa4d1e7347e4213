package redisbus

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// go-redis writes to one logger of the whole process, as text on standard
// error. Whatever it says there it also returns as an error, which is logged
// where it matters.
func init() { redis.SetLogger(silence{}) }

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// client returns a client that gives up a command after the time given. RESP 2
// is what subscriptions need and no more.
//
// Nothing is tried twice. In a cluster, go-redis would try what a master that
// hangs did not answer until the time is over, and then have all commands of the
// pipeline fail, those that the other masters have answered too. A probe finds
// out soon enough where a slot has gone, or that a server is back.
func (t *target) client(within time.Duration) redis.UniversalClient {
	if t.cluster {
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: t.addrs, Username: t.user, Password: t.password, TLSConfig: t.tls,
			Protocol: 2, DisableIdentity: true, DisableRoutingPolicies: true, MaxRedirects: -1,
			DialTimeout: within, DialerRetries: 1, ReadTimeout: within, WriteTimeout: within,
			ContextTimeoutEnabled: true,
		})
	}
	return redis.NewClient(&redis.Options{
		Addr: t.addrs[0], Username: t.user, Password: t.password, TLSConfig: t.tls,
		Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		DialTimeout: within, DialerRetries: 1, ReadTimeout: within, WriteTimeout: within,
		ContextTimeoutEnabled: true,
	})
}

// reload has the client of a cluster ask who owns which slot. It does not wait
// for the answer.
func (b *Bus) reload() {
	if c, ok := b.client.(*redis.ClusterClient); ok {
		c.ReloadState(b.ctx)
	}
}

// refusal returns what to do about an error that waiting does not cure, and ""
// for any other.
func refusal(err error) string {
	if err == nil {
		return ""
	}
	_, moved := redis.IsMovedError(err)
	var network *net.OpError
	switch {
	case redis.IsAuthError(err):
		return "Redis does not know this user with this password"
	case redis.IsPermissionError(err):
		return "the user needs the commands and channels that package redisbus lists"
	case moved:
		return "this Redis is part of a cluster: write redis-cluster://"
	case redis.HasErrorPrefix(err, "This instance has cluster support disabled"):
		return "this Redis is no cluster: write redis:// or rediss://"
	case redis.HasErrorPrefix(err, "unknown command"):
		return "sharded publish/subscribe needs Redis 7 or later"
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(tls.RecordHeaderError)),
		errors.As(err, &network) && network.Op == "remote error": // as package tls calls what the other side said
		return "no TLS that both sides accept"
	}
	return ""
}
