package command

import (
	"fmt"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
)

// serveDatabase lets other nodes change this node's part of the database, as Perl
// nodes do: by calling the functions that a program there would call.
func serveDatabase(reg *registry.Registry) error {
	sys := reg.Node().System()
	err := sys.RegisterCall(functionSet, func(_ actor.NodeID, args aemp.Message) error {
		var family, key string
		if err := args.Scan(&family, &key); err != nil {
			return fmt.Errorf("%s: %w", functionSet, err)
		}
		var value any
		if len(args) > 2 {
			value = args[2]
		}
		_, err := reg.Set(family, key, value)
		return err
	})
	if err != nil {
		return err
	}
	return sys.RegisterCall(functionDelete, func(_ actor.NodeID, args aemp.Message) error {
		var family string
		if err := args.Scan(&family); err != nil {
			return fmt.Errorf("%s: %w", functionDelete, err)
		}
		// Generation 2 takes any number of keys.
		var keys []string
		if err := aemp.Convert(&keys, []any(args[1:])); err != nil {
			return fmt.Errorf("%s: %w", functionDelete, err)
		}
		return reg.Delete(family, keys...)
	})
}
