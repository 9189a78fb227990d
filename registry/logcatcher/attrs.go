package logcatcher

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

// An attr is an attribute with the names of its groups in front: "group.key".
type attr struct {
	key   string
	value any // as messages hold it
}

// appendAttr appends an attribute, or those of a group.
func appendAttr(attrs []attr, prefix string, a slog.Attr) []attr {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			attrs = appendAttr(attrs, prefix, member)
		}
		return attrs
	}
	if a.Equal(slog.Attr{}) {
		return attrs
	}
	return append(attrs, attr{prefix + a.Key, plain(v)})
}

// plain makes a value one that every node understands.
func plain(v slog.Value) any {
	switch v.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindString:
		return v.Any()
	case slog.KindDuration:
		return v.Duration().String()
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	}
	switch v := v.Any().(type) {
	case nil:
		return nil
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	case aemp.NodeID:
		return string(v)
	case aemp.PortID:
		return string(v)
	}
	return fmt.Sprintf("%+v", v.Any())
}

// text returns a message with its attributes behind it, for those who know no
// attributes.
func text(message string, attrs []attr) string {
	var b strings.Builder
	b.WriteString(message)
	for _, a := range attrs {
		value := fmt.Sprint(a.value)
		if value == "" || strings.ContainsAny(value, " \"=\n\t") || !isPrintable(value) {
			value = strconv.Quote(value)
		}
		b.WriteString(" " + a.key + "=" + value)
	}
	return b.String()
}

func isPrintable(s string) bool {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}
