package profile_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/portmesh/portmesh/aemp/profile"
)

func Example() {
	dir, err := os.MkdirTemp("", "profile")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "perl-anyevent-mp") // usually profile.Path()

	err = profile.Update(context.Background(), path, func(f *profile.File) error {
		if err := f.Defaults().Set("seeds", []string{"doomed", "10.0.0.2:5000"}); err != nil {
			return err
		}
		return f.Create("server").Set("nodeid", "%n/server")
	})
	if err != nil {
		log.Fatal(err)
	}

	settings, err := profile.Read(path, "server")
	if err != nil {
		log.Fatal(err)
	}
	seeds, err := profile.Seeds(settings.Seeds)
	fmt.Println(settings.NodeID, settings.Origin("nodeid"))
	fmt.Println(seeds, settings.Origin("seeds"), err)
	// Output:
	// %n/server profile "server"
	// [doomed:4040 10.0.0.2:5000] defaults <nil>
}
