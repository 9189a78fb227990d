package aemp_test

import (
	"context"
	"fmt"
	"net"

	"github.com/portmesh/portmesh/aemp"
)

// Two nodes on a connection: one sends, the other answers.
func ExampleHandshake() {
	ctx := context.Background()
	here, there := net.Pipe()

	go func() { // the other node
		conn, err := aemp.Handshake(ctx, there, aemp.Config{NodeID: "there", Secret: "geheim"})
		if err != nil {
			fmt.Println(err)
			return
		}
		port, m, _ := conn.Receive()
		fmt.Println(port, "received", m)
		conn.Send("replies", "hello", "from", "there")
	}()

	conn, err := aemp.Handshake(ctx, here, aemp.Config{NodeID: "here", Secret: "geheim"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	conn.Send("greeter", "hello", 42, []any{"a", "list"})
	port, m, _ := conn.Receive()
	fmt.Println(port, "received", m)
	// Output:
	// greeter received ["hello", 42, ["a", "list"]]
	// replies received ["hello", "from", "there"]
}

func ExampleMessage_Scan() {
	// Perl does not tell numbers from the strings that spell them.
	m := aemp.Message{"42", int64(7), []any{"x", "y"}, "cat#reply"}
	var (
		number int
		text   string
		list   []string
		reply  aemp.PortID
	)
	if err := m.Scan(&number, &text, &list, &reply); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(number+1, text+"!", list, reply.Node())

	fmt.Println(aemp.Message{"many"}.Scan(&number))
	// Output:
	// 43 7! [x y] cat
	// element 0: wrong value: want int, found string "many"
}
