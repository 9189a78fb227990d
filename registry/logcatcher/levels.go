package logcatcher

import "log/slog"

// A scale is the way in which a generation numbers its levels: the smaller the
// number, the more important.
type scale int

const (
	generation1 scale = 1
	generation2 scale = 2
)

// LevelTrace and LevelNote are levels that Perl programs use and slog has no name
// for.
const (
	LevelTrace = slog.LevelDebug - 4
	LevelNote  = slog.LevelInfo + 2
)

// levels are the numbers of slog's levels, from the most important to the least,
// in both generations.
var levels = []struct {
	level  slog.Level
	second int
	first  int
}{
	{slog.LevelError + 8, 2, 1},
	{slog.LevelError + 4, 3, 1},
	{slog.LevelError, 4, 1},
	{slog.LevelWarn, 5, 2},
	{LevelNote, 6, 5},
	{slog.LevelInfo, 7, 7},
	{slog.LevelDebug, 8, 8},
	{LevelTrace, 9, 9},
}

// number returns the number of a level of slog.
func (s scale) number(level slog.Level) int {
	for _, l := range levels {
		if level >= l.level {
			if s == generation1 {
				return l.first
			}
			return l.second
		}
	}
	return 9
}

// level returns the level of slog for a number.
func (s scale) level(number int) slog.Level {
	if s == generation2 {
		if number < 2 {
			return slog.LevelError + 12
		}
		for _, l := range levels {
			if l.second == number {
				return l.level
			}
		}
		return LevelTrace
	}
	switch {
	case number <= 1:
		return slog.LevelError
	case number <= 4:
		return slog.LevelWarn
	case number <= 6:
		return LevelNote
	case number == 7:
		return slog.LevelInfo
	case number == 8:
		return slog.LevelDebug
	}
	return LevelTrace
}

// PerlLevel returns the level for the number that Perl programs of generation 2
// give it.
func PerlLevel(number int) slog.Level { return generation2.level(number) }
