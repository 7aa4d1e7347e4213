// Package redisbus is the bus between nodes over Redis, version 7 or later: one
// server, or a Redis Cluster.
//
// # URLs
//
//	redis://USER:PASSWORD@HOST:PORT          one server; the port is 6379 by default
//	rediss://USER:PASSWORD@HOST:PORT         the same over TLS
//	redis-cluster://USER:PASSWORD@HOST:PORT,HOST:PORT
//	                                         a cluster, by some of its nodes; TLS with ?tls=true
//
// The user may be empty (redis://:PASSWORD@HOST), and so may both. With TLS,
// the server's name is verified by the system's certificate authorities, or by
// those of a PEM file (ca=FILE); a server that asks for a certificate gets that
// of cert=FILE with key=FILE. Publish/subscribe knows no databases: a path other
// than /0 is refused. In a cluster every node is reached under the address that
// the cluster announces, which its certificate must hold.
//
// # What Redis must allow
//
// Nothing but these commands, on these channels and on no key:
//
//	ACL SETUSER ronde on >PASSWORD resetchannels &{p??}.* -@all +ssubscribe +sunsubscribe +spublish +cluster|slots
//
// The last one is for a cluster only. Redis keeps nothing: no key is ever
// written. It sees which missions are live, when something happens in one, and
// how much; what it is stays sealed.
//
// # Channels
//
// A mission has the channel {pNN}.m.<mission>. NN is one of 30 partitions: what
// stands in braces decides the slot, and the slots of the partitions lie evenly
// among all, so that any number of masters gets its share (see tags). Publishing
// and subscribing are sharded: only the owner of the slot handles a message.
//
// Each partition with subscriptions has one connection of its own to subscribe
// with. It is never repaired, only replaced: go-redis binds a PubSub to one
// node, and after a slot has moved, or behind a firewall that forgot it, that
// goes silent without an error. So every node publishes to {pNN}.n.<node> in
// every partition all the time, and a connection that brings nothing at all for
// the patience of the bus is dead, as is one that the server takes a channel
// from. What was published in between is lost, and the hub finds it in the
// store.
//
// # Delivery
//
// Subscribers on the publishing node are called within Publish, as on
// tracker.MemBus: they wait for nothing, and while Redis is away those that are
// there go on hearing this node, but none can be added. For all others one
// goroutine sends what has gathered since it last did, in one pipeline. Publish
// waits for it only when the queue is full, for an eighth of the patience; a
// partition that could not be reached costs nothing at all until a probe has
// reached it.
//
// # Frames
//
// A message travels sealed, as a frame bound to its channel; see frame. Frames
// that nobody with the root secret made, that are old, or that come again, are
// dropped and counted. The nodes' clocks must agree to within ten seconds.
package redisbus
