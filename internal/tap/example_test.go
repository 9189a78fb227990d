package tap_test

import (
	"fmt"

	"github.com/portmesh/portmesh/internal/tap"
)

func Example() {
	var d tap.Decoder
	for _, r := range []tap.Read{
		{Time: 0.1, Conn: 1, Dialled: true, Data: []byte("aemp;1;me;hmac_sha3_512;json\nnonce\ncleartext;736563726574;json\n")},
		{Time: 0.2, Conn: 1, Dialled: true, Data: []byte(`["","ti`)},
		{Time: 0.3, Conn: 1, Dialled: true, Data: []byte(`me","me#answer"]`)},
	} {
		for _, e := range d.Read(r) {
			fmt.Println(e)
		}
	}
	// Output:
	//    0.1000 #1 me -> listener  greeting  aemp;1;me;hmac_sha3_512;json
	//    0.1000 #1 me -> listener  nonce     nonce
	//    0.1000 #1 me -> listener  auth      cleartext, sends json
	//    0.3000 #1 me -> listener  request   ["time", "me#answer"]
}
