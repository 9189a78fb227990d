package remote

import (
	"context"
	"fmt"

	"github.com/portmesh/portmesh/aemp/profile"
)

// WithProfile returns the configuration that [Start] makes of c and the profile
// that it names: one that names none, and has all in its fields. It is for
// programs that want to know or to change it before they start. The context
// bounds the looking up of host names to listen on.
//
// The errors are those of [profile.Read], and others that name the key.
func (c Config) WithProfile(ctx context.Context) (Config, error) {
	if c.Profile == "" {
		return c, nil
	}
	s, err := profile.Read(c.ProfileFile, c.Profile)
	if err != nil {
		return c, fmt.Errorf("remote: %w", err)
	}
	return c.WithSettings(ctx, s)
}

// WithSettings is [Config.WithProfile] for those who have read the profile
// themselves.
func (c Config) WithSettings(ctx context.Context, s *profile.Settings) (Config, error) {
	merged, err := c.merge(ctx, s)
	if err != nil {
		return c, fmt.Errorf("remote: %w", err)
	}
	return merged, nil
}

func (c Config) merge(ctx context.Context, s *profile.Settings) (_ Config, err error) {
	// take reports whether the profile decides on a key.
	take := func(key string, own bool) bool { return s.Has(key) && !(own && c.Override) }

	id := string(c.NodeID)
	if take("nodeid", id != "") {
		id = s.NodeID
	}
	if id == "" {
		id = s.Profile + "/"
	}
	if c.NodeID, err = profile.NodeID(id); err != nil {
		return c, fmt.Errorf("nodeid: %w", err)
	}
	if take("secret", c.Secret != "") {
		c.Secret = s.Secret
	}
	if take("cert", c.TLS != nil) {
		if c.TLS, err = s.TLS(); err != nil {
			return c, err
		}
	}
	binds := s.Binds
	if !s.Has("binds") && c.Listen == nil && c.Listeners == nil {
		binds = []string{"*"}
	}
	if take("binds", c.Listen != nil) || binds != nil && c.Listen == nil {
		if c.Listen, err = profile.Listen(ctx, binds); err != nil {
			return c, err
		}
	}
	if take("seeds", c.Seeds != nil) {
		if c.Seeds, err = profile.Seeds(s.Seeds); err != nil {
			return c, err
		}
	}
	if take("framing_format", c.Framings != nil) {
		if c.Framings, err = s.Framings(); err != nil {
			return c, err
		}
	}
	if take("auth_accept", c.Auths != nil) {
		c.Auths = s.AuthAccept
	}
	if take("connect_interval", c.ConnectInterval != 0) {
		c.ConnectInterval = s.ConnectInterval
	}
	if take("monitor_timeout", c.MonitorTimeout != 0) {
		c.MonitorTimeout = s.MonitorTimeout
	}
	if take("secure", c.Secure) {
		c.Secure = s.Secure
	}
	c.Profile, c.ProfileFile = "", ""
	return c, nil
}
