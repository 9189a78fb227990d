package tap

// A Read is a piece of what one side of a connection has sent. Its borders
// mean nothing.
type Read struct {
	// Time is when it came, in seconds since the recording began.
	Time float64 `json:"t"`
	// Conn is the number of the connection, from 1.
	Conn int `json:"conn"`
	// From and To are node IDs. They may be missing: a Decoder learns them from
	// the greetings.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Dialled tells the two sides apart: it is true for what comes from the
	// side that opened the connection.
	Dialled bool `json:"dialled"`
	// EOF: the side sends nothing any more. Data is empty then.
	EOF bool `json:"eof,omitempty"`
	// TLS: the bytes came encrypted and the recorder has decrypted them.
	TLS bool `json:"tls,omitempty"`
	// Lost: the recorder could not keep up, and nothing more that this side
	// sends is recorded.
	Lost bool `json:"lost,omitempty"`
	// Error is what has ended the connection, if that was not its regular end.
	Error string `json:"error,omitempty"`
	Data  []byte `json:"b64,omitempty"`
}
