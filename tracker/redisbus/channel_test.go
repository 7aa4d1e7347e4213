package redisbus

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"ronde/session"
	"ronde/tracker/redisbus/redistest"
)

// TestBalance: masters that share the slots evenly share the partitions evenly,
// and missions spread over the partitions.
func TestBalance(t *testing.T) {
	redis := redistest.Start(t, "cluster-enabled yes", "cluster-port "+strconv.Itoa(redistest.FreePort(t)))
	var slots []int64
	for _, tag := range tags {
		slots = append(slots, redis.Do(t, "cluster", "keyslot", "{"+tag+"}.m."+session.NewID().String()).(int64))
	}
	if !slices.IsSorted(slots) {
		t.Errorf("the partitions are not in the order of their slots: %d", slots)
	}
	for _, masters := range []int{1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30} {
		share := make([]int, masters)
		for _, slot := range slots {
			share[int(slot)*masters/16384]++
		}
		least, most := slices.Min(share), slices.Max(share)
		if most-least > 1 || least != len(tags)/masters {
			t.Errorf("%d masters get %d", masters, share)
		}
	}
	share := make([]int, len(tags))
	for range 1000 * len(tags) {
		share[partitionOf(session.NewID())]++
	}
	if least := slices.Min(share); least < 800 {
		t.Errorf("of 30,000 missions the partitions get %d", share)
	}
}

func TestChannels(t *testing.T) {
	for range 100 {
		m := session.NewID()
		if got, ok := missionOf(missionChannel(m)); !ok || got != m {
			t.Errorf("%s belongs to %s, %v", missionChannel(m), got, ok)
		}
	}
	m := session.NewID()
	good := missionChannel(m)
	for _, channel := range []string{
		"", "}.m." + m.String(), "{p60}.m.", good[:8] + strings.ToUpper(m.String()), good + "0", good[1:], "{p99}.m." + m.String(), "{" + good,
		good[:len(good)-36] + "urn:uuid:" + m.String(), nodeChannel(tags[0], newNodeID()),
	} {
		if got, ok := missionOf(channel); ok {
			t.Errorf("%q belongs to %s", channel, got)
		}
	}
}
