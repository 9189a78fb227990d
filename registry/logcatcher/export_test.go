package logcatcher

import "log/slog"

// Number is the number of a level for a generation.
func Number(generation int, level slog.Level) int { return scale(generation).number(level) }
