package aemp

// WithGreetingLine makes a configuration say a line that was recorded, since
// digests depend on it.
func WithGreetingLine(c Config, line string) Config {
	c.greetingLine = line
	return c
}
