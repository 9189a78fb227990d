package profile

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/portmesh/portmesh/aemp"
)

// DefaultPort is the customary port of nodes that others have as their seed.
const DefaultPort = "4040"

// HostName returns the name of this host, which is that of the profile of a
// program that names none.
func HostName() string {
	host, err := os.Hostname()
	if err != nil || aemp.NodeID(host).Validate() != nil {
		return "localhost"
	}
	return host
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NodeID makes a node ID of what the configuration says: %n becomes the name of
// the host, %u becomes 10 random characters, and so does what is missing behind
// a / at the end. The error wraps [aemp.ErrInvalidID].
func NodeID(pattern string) (aemp.NodeID, error) {
	if strings.HasSuffix(pattern, "/") {
		pattern += "%u"
	}
	// In one pass, so that a host name with a % in it stays as it is.
	id := aemp.NodeID(strings.NewReplacer("%n", HostName(), "%u", random()).Replace(pattern))
	if err := id.Validate(); err != nil {
		return "", fmt.Errorf("%q: %w", pattern, err)
	}
	return id, nil
}

func random() string {
	b := make([]byte, 10)
	for i := range b {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(base62)))) // never fails
		b[i] = base62[n.Int64()]
	}
	return string(b)
}

// An address is what a word of binds or seeds means.
type address struct {
	host string // "*": all of this host
	port string // "0": any
}

// parseAddress reads host:port in all its forms: "*", "*:port", "host",
// "host:*", "port" (of this host's name), and the same with IPv6 addresses,
// which need brackets only when there is a port. What is written without a port
// gets defaultPort.
func parseAddress(s, defaultPort string) (address, error) {
	wrong := func(text string) (address, error) {
		return address{}, fmt.Errorf("address %q: %s: %w", s, text, ErrValue)
	}
	a := address{s, defaultPort}
	switch {
	case s == "":
		return wrong("it is empty")
	case strings.Trim(s, "0123456789") == "":
		a = address{HostName(), s}
	case strings.HasPrefix(s, "["):
		host, rest, ok := strings.Cut(s[1:], "]")
		if !ok || rest != "" && rest[0] != ':' {
			return wrong("want [host]:port")
		}
		a.host = host
		if rest != "" {
			a.port = rest[1:]
		}
	case strings.Count(s, ":") == 1:
		a.host, a.port, _ = strings.Cut(s, ":")
	case strings.Contains(s, ":") && net.ParseIP(trimZone(s)) == nil:
		return wrong("want host:port; IPv6 addresses need brackets before a port")
	}
	if a.port == "*" {
		a.port = "0"
	}
	if strings.HasPrefix(s, "[") && net.ParseIP(trimZone(a.host)) == nil {
		return wrong("there is no IPv6 address between the brackets")
	}
	if strings.Trim(a.port, "0123456789") == "" && a.port != "" {
		if n, err := strconv.Atoi(a.port); err != nil || n > 65535 {
			return wrong("there is no such port")
		}
	}
	if a.port == "" && strings.HasSuffix(s, ":") {
		return wrong("the port is missing behind the colon")
	}
	if a.host == "" || strings.ContainsAny(a.host, " \t/,[]") || strings.ContainsAny(a.port, " \t/:") {
		return wrong("want host:port")
	}
	return a, nil
}

func trimZone(s string) string {
	ip, _, _ := strings.Cut(s, "%")
	return ip
}

// Listen returns the addresses to listen on, "host:port", for what binds says:
//
//	4040         the addresses that the name of this host stands for
//	*:4040       every address of this host, this port
//	*  *:*       every address of this host, a free port
//	host:4040    the addresses that this name stands for
//	host host:*  the same, a free port
//	[::1]:4040   this address; without a port, brackets are not needed
//
// Names are looked up, so that each of their addresses is listened on.
func Listen(ctx context.Context, binds []string) ([]string, error) {
	return listen(ctx, net.DefaultResolver.LookupHost, binds)
}

func listen(ctx context.Context, lookup func(context.Context, string) ([]string, error), binds []string) ([]string, error) {
	var list []string
	for _, bind := range binds {
		a, err := parseAddress(bind, "0")
		if err != nil {
			return nil, fmt.Errorf("profile: binds: %w", err)
		}
		hosts := []string{a.host}
		switch {
		case a.host == "*":
			hosts = []string{""}
		case net.ParseIP(trimZone(a.host)) == nil:
			if hosts, err = lookup(ctx, a.host); err != nil {
				return nil, fmt.Errorf(`profile: binds: address %q: %w ("*:%s" listens on all addresses)`, bind, err, a.port)
			}
		}
		for _, host := range hosts {
			list = appendNew(list, net.JoinHostPort(host, a.port))
		}
	}
	return list, nil
}

// Seeds returns the addresses to connect with, "host:port", for what seeds
// says: as for [Listen], but a missing port is [DefaultPort], a * stands for each
// address of this host, and names stay names, to be looked up whenever a
// connection is made.
func Seeds(seeds []string) ([]string, error) {
	var list []string
	for _, seed := range seeds {
		a, err := parseAddress(seed, DefaultPort)
		if err == nil && a.port == "0" {
			err = fmt.Errorf("address %q: a seed needs a port: %w", seed, ErrValue)
		}
		if err != nil {
			return nil, fmt.Errorf("profile: seeds: %w", err)
		}
		hosts := []string{a.host}
		if a.host == "*" {
			hosts = ownAddresses()
		}
		for _, host := range hosts {
			list = appendNew(list, net.JoinHostPort(host, a.port))
		}
	}
	return list, nil
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// ownAddresses returns the addresses of this host that others can reach, or the
// loopback address if there is none.
func ownAddresses() []string {
	var hosts []string
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if ipnet, ok := a.(*net.IPNet); ok && ipnet.IP.IsGlobalUnicast() {
			hosts = append(hosts, ipnet.IP.String())
		}
	}
	if len(hosts) == 0 {
		hosts = []string{"127.0.0.1"}
	}
	return hosts
}
