package command

import (
	"cmp"
	"context"
	"fmt"

	"github.com/portmesh/portmesh/aemp/profile"
	"github.com/portmesh/portmesh/remote"
)

// toolProfile is the profile of the tool's own node, if no other is named.
const toolProfile = "aemp"

// nodeConfig returns the configuration of the tool's own node. What the command
// line has changed so far has been saved.
//
// A node ID and addresses to listen on are taken from the tool's own profile
// only: what all programs share, another profile, or the environment of a
// container says, is that of another node.
func (c *Call) nodeConfig(ctx context.Context) (remote.Config, error) {
	if err := c.save(ctx); err != nil {
		return remote.Config{}, err
	}
	name := cmp.Or(c.selected(), c.Getenv(profile.EnvProfile), toolProfile)
	s, err := c.settings(name)
	if err != nil {
		return remote.Config{}, err
	}
	config := remote.Config{Override: true}
	own := fmt.Sprintf("profile %q", toolProfile)
	if s.Origin("nodeid") != own {
		config.NodeID = toolProfile + "/"
	}
	if s.Origin("binds") != own {
		config.Listen = []string{":0"}
	}
	if seeds := c.String("seeds"); seeds != "" {
		list, err := mustKey("seeds").Parse(seeds)
		if err == nil {
			config.Seeds, err = profile.Seeds(list.([]string))
		}
		if err != nil {
			return config, Usagef("--seeds: %w", err)
		}
	}
	if config, err = config.WithSettings(ctx, s); err != nil {
		return config, configError(err)
	}
	if config.Secret == "" && config.TLS == nil {
		return config, Usagef("no secret is known; all nodes of a mesh share one: aemp setsecret SECRET")
	}
	return config, nil
}
