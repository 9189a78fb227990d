package command

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/portmesh/portmesh/aemp"
)

// jsonValue makes a value of a message one that encoding/json writes as the
// framing "json" does: octets are the characters with their numbers. Numbers that
// are not finite become strings.
func jsonValue(v any) any {
	switch v := v.(type) {
	case []byte:
		runes := make([]rune, len(v))
		for i, b := range v {
			runes[i] = rune(b)
		}
		return string(runes)
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return fmt.Sprint(v)
		}
	case aemp.Message:
		return jsonList(v)
	case aemp.Reason:
		return jsonList(v)
	case []any:
		return jsonList(v)
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			m[key] = jsonValue(value)
		}
		return m
	}
	return v
}

func jsonList(list []any) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = jsonValue(v)
	}
	return out
}

// printableText is text of others, fit for a terminal.
func printableText(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) >= 0 {
		return strconv.Quote(s)
	}
	return s
}
