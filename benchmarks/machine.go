package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// A machine is what the numbers depend on.
type machine struct {
	CPU     string
	CPUs    int
	OS      string
	Kernel  string
	Go      string
	Modules map[string]string
}

func thisMachine() machine {
	m := machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Modules: make(map[string]string)}
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = strings.TrimSpace(string(release))
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range build.Deps {
			switch dep.Path {
			case "github.com/asynkron/protoactor-go", "google.golang.org/grpc", "google.golang.org/protobuf":
				m.Modules[dep.Path] = dep.Version
			}
		}
	}
	return m
}

func (m machine) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %d CPUs, %s, kernel %s, %s\n", m.CPU, m.CPUs, m.OS, m.Kernel, m.Go)
	for path, version := range m.Modules {
		fmt.Fprintf(w, "%s %s\n", path, version)
	}
}
