package redisbus

// What the tests from outside need to speak to Redis as the bus does.
var (
	MissionChannel = missionChannel
	PartitionOf    = partitionOf
)
