package redisbus

import (
	"encoding/binary"
	"strings"

	"github.com/google/uuid"
)

// tags are the hash tags of the partitions, in the order of their slots: of the
// hundred tags p00 to p99, for each thirtieth of the 16384 slots the one whose
// slot lies nearest to its middle. Thirty is a multiple of 3, 5 and 6, so that
// masters that share the slots evenly share the partitions evenly.
//
// All nodes of an installation must have the same list.
var tags = [...]string{
	"p60", "p77", "p59", "p42", "p19", "p02", "p20", "p69", "p72", "p50",
	"p43", "p14", "p07", "p25", "p32", "p62", "p75", "p57", "p44", "p13",
	"p00", "p22", "p39", "p81", "p52", "p49", "p12", "p09", "p27", "p30",
}

// partitionOf returns the place in tags of a mission's partition.
func partitionOf(mission uuid.UUID) int {
	return int(binary.BigEndian.Uint64(mission[8:]) % uint64(len(tags))) // the second half is random
}

// missionChannel returns the channel of a mission.
func missionChannel(mission uuid.UUID) string {
	return "{" + tags[partitionOf(mission)] + "}.m." + mission.String()
}

// missionOf returns the mission that a channel belongs to.
func missionOf(channel string) (mission uuid.UUID, ok bool) {
	tag, text, ok := strings.Cut(channel, "}.m.")
	if !ok || len(text) != 36 || strings.ToLower(text) != text { // UUIDs have more forms than the one that is sent
		return mission, false
	}
	mission, err := uuid.Parse(text)
	return mission, err == nil && len(tag) == 4 && tag[0] == '{' && tag[1:] == tags[partitionOf(mission)]
}

// nodeChannel returns the channel by which a node hears itself in a partition.
func nodeChannel(tag string, node nodeID) string { return "{" + tag + "}.n." + node.String() }
