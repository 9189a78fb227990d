package command

import (
	"strings"

	"github.com/portmesh/portmesh/remote"
)

// nodeConfig returns the configuration of the tool's own node.
func (c *Call) nodeConfig() (remote.Config, error) {
	config := remote.Config{NodeID: "aemp/", Secret: c.Getenv("PORTMESH_SECRET"), Listen: []string{":0"}}
	seeds := c.String("seeds")
	if seeds == "" {
		seeds = c.Getenv("PORTMESH_SEEDS")
	}
	for seed := range strings.SplitSeq(seeds, ",") {
		if seed = strings.TrimSpace(seed); seed != "" {
			config.Seeds = append(config.Seeds, seed)
		}
	}
	if config.Secret == "" {
		return config, Usagef("no secret is known; all nodes of a mesh share one: aemp setsecret SECRET")
	}
	return config, nil
}
