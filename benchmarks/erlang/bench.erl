%% The works in Erlang, as actors.go and child.go do them in Go: messages are
%% {item, N, Text}, with a binary that is made anew for each.
%%
%% The module is also the epmd of its nodes, so that none has to run.
-module(bench).
-export([run/3]).
-export([start_link/0, register_node/3, address_please/3]).

%% run is the life of a process: Side is serve or drive, Server the address of
%% the one that serves. What it has to tell it writes as lines of JSON.
run(Side, Work, Server) ->
    spawn(fun() ->
        try
            io:format("~s~n", [side(Side, Work, Server)]),
            eof = io:get_line(""),
            io:format("~b~n", [peak_rss()]),
            halt(0)
        catch
            Class:Reason:Stack ->
                io:format(standard_error, "~p~n", [{Class, Reason, Stack}]),
                halt(1)
        end
    end).

side(serve, Work, _) ->
    listen(server),
    serve(Work),
    io_lib:format("\"~b\"", [persistent_term:get(port)]);
side(drive, Work = #{remote := true}, Server) ->
    listen(driver),
    persistent_term:put(port, list_to_integer(Server)),
    Node = node_name(server),
    true = net_kernel:connect_node(Node),
    measurement(drive(Work, Node));
side(drive, Work, _) ->
    serve(Work),
    measurement(drive(Work, node())).

measurement(Metrics) ->
    ["{", lists:join(",", [io_lib:format("\"~s\":~w", [K, V]) || {K, V} <- Metrics]), "}"].

serve(#{kind := flood}) ->
    register(sink, spawn(fun() -> sink(0, none) end));
serve(#{kind := ping_pong, pairs := Pairs}) ->
    [register(echo_name(I), spawn(fun() -> echo(none) end)) || I <- lists:seq(1, Pairs)];
serve(#{kind := spawning}) ->
    ok.

echo_name(I) -> list_to_atom("echo" ++ integer_to_list(I)).

%% sink takes a flood: Next is how many messages have come, in order.
sink(Next, Driver) ->
    receive
        {item, Next1, _Text} when Next1 =:= Next -> sink(Next + 1, Driver);
        {item, _, _} -> sink(Next, Driver);
        last -> Driver ! {last, Next}, sink(Next, Driver);
        {hello, Pid} -> Pid ! {hello, self()}, sink(Next, Pid)
    end.

%% echo sends back what it gets.
echo(Driver) ->
    receive
        Item = {item, _, _} -> Driver ! Item, echo(Driver);
        {hello, Pid} -> Pid ! {hello, self()}, echo(Pid)
    end.

%% greet returns the process of that name.
greet(Name, Node) ->
    {Name, Node} ! {hello, self()},
    receive {hello, Pid} -> Pid end.

%% A flood: all messages are sent, and then it waits until they are there.
drive(#{kind := flood, count := Count, size := Size}, Node) ->
    Sink = greet(sink, Node),
    Text = binary:copy(<<"x">>, Size),
    Began = erlang:monotonic_time(),
    flood(Sink, 0, Count, Text),
    Sink ! last,
    receive {last, N} -> N end,
    Took = seconds_since(Began),
    N =:= Count orelse error({in_order_came, N, 'of', Count}),
    [{rate, Count / Took}, {messages, Count}];
%% Pairs of processes send messages to each other for a while.
drive(Work = #{kind := ping_pong, pairs := Pairs}, Node) ->
    Main = self(),
    Drivers = [spawn_link(fun() -> pair(Main, greet(echo_name(I), Node), Work) end) || I <- lists:seq(1, Pairs)],
    [receive {ready, Driver} -> ok end || Driver <- Drivers],
    Began = erlang:monotonic_time(),
    [Driver ! start || Driver <- Drivers],
    [receive {done, Driver} -> ok end || Driver <- Drivers],
    Took = seconds_since(Began),
    Latencies = lists:sort(lists:append([receive {latencies, Driver, L} -> L end || Driver <- Drivers])),
    N = length(Latencies),
    Quantile = fun(Q) ->
        Latency = lists:nth(1 + trunc(Q * (N - 1)), Latencies),
        erlang:convert_time_unit(Latency, native, nanosecond) / 1000
    end,
    [{rate, N / Took}, {messages, 2 * N}, {p50, Quantile(0.5)}, {p99, Quantile(0.99)}];
%% Processes that could receive but get nothing.
drive(#{kind := spawning, count := Count}, _) ->
    Main = self(),
    Started = atomics:new(1, []),
    Before = in_use(),
    Began = erlang:monotonic_time(),
    spawn_many(Count, fun() ->
        case atomics:add_get(Started, 1, 1) of
            Count -> Main ! started;
            _ -> ok
        end,
        idle()
    end),
    receive started -> ok end,
    Took = seconds_since(Began),
    [{rate, Count / Took}, {messages, Count}, {bytes, (in_use() - Before) / Count}].

flood(_Sink, Count, Count, _Text) ->
    ok;
flood(Sink, N, Count, Text) ->
    Sink ! {item, N, binary:copy(Text)},
    flood(Sink, N + 1, Count, Text).

%% pair is the driver of a pair. When each message on its way was sent is in
%% the process dictionary, the fastest that there is.
pair(Main, Echo, #{size := Size, flight := Flight, duration := Duration}) ->
    Main ! {ready, self()},
    receive start -> ok end,
    Text = binary:copy(<<"x">>, Size),
    Now = erlang:monotonic_time(),
    [send(Echo, N, Text, Now) || N <- lists:seq(0, Flight - 1)],
    End = Now + erlang:convert_time_unit(Duration, nanosecond, native),
    Latencies = pair(Echo, Text, End, Flight, []),
    Main ! {done, self()},
    Main ! {latencies, self(), Latencies}.

pair(_Echo, _Text, _End, 0, Latencies) ->
    Latencies;
pair(Echo, Text, End, Flying, Latencies) ->
    receive
        {item, N, _} ->
            Now = erlang:monotonic_time(),
            Longer = [Now - get(N) | Latencies],
            if
                Now < End ->
                    send(Echo, N, Text, Now),
                    pair(Echo, Text, End, Flying, Longer);
                true ->
                    pair(Echo, Text, End, Flying - 1, Longer)
            end
    end.

send(Echo, N, Text, Now) ->
    put(N, Now),
    Echo ! {item, N, binary:copy(Text)}.

spawn_many(0, _) ->
    ok;
spawn_many(Count, Fun) ->
    spawn(Fun),
    spawn_many(Count - 1, Fun).

idle() ->
    receive {item, _, _} -> idle() end.

seconds_since(Began) ->
    erlang:convert_time_unit(erlang:monotonic_time() - Began, native, nanosecond) / 1.0e9.

%% in_use returns the memory in use for anything but garbage of ours.
in_use() ->
    erlang:garbage_collect(),
    erlang:memory(total).

%% peak_rss returns the most memory that this process has had, in bytes.
peak_rss() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kilobytes]} = re:run(Status, "VmHWM:\\s+(\\d+)", [{capture, all_but_first, list}]),
    1024 * list_to_integer(Kilobytes).

%% listen makes this a node with a port that the system chooses.
listen(Name) ->
    {ok, _} = net_kernel:start([node_name(Name), longnames]).

node_name(Name) -> list_to_atom(atom_to_list(Name) ++ "@127.0.0.1").

%% What follows is called by the distribution. The only node that anybody
%% connects to is the server, whose port the driver has been told.

start_link() -> ignore.

register_node(_Name, Port, _Driver) ->
    persistent_term:put(port, Port),
    {ok, 1}.

address_please(_Name, _Host, _Family) ->
    {ok, {127, 0, 0, 1}, persistent_term:get(port), 6}.
