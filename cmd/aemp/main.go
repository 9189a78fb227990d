// Command aemp configures, asks and runs the nodes of an AEMP mesh. See its
// help, "aemp help", or its manual, "aemp man".
//
//	go install github.com/portmesh/portmesh/cmd/aemp@latest
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/portmesh/portmesh/cmd/aemp/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.New().Run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
