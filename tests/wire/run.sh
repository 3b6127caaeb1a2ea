#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [WORD]… — each script of this folder plays the client, and the model server where there is
# one, byte by byte (varnishtest), around one running Atlas; refused.rows is a table of requests that
# must be refused, played by one script each. Where a script's line `# attempts N` says how many
# requests reach the model server, they are counted; of the table's none does. Leaves
# $JUNIT_DIR/wire.xml. WORDs choose scripts and rows whose names hold one of them.
set -euo pipefail
ATLAS=$(realpath "${ATLAS:-$(dirname "$0")/../../build/atlas}")
cd "$(dirname "$0")"
: "${JUNIT_DIR:=$PWD/../../build/junit}"
mkdir -p "$JUNIT_DIR"
home=$(mktemp -d)
atlas=
end() {
    [ -z "$atlas" ] || kill "$atlas" 2>/dev/null || :
    rm -rf "$home"
}
trap end EXIT

read -r port admin up < <(/usr/bin/python3 -c '
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(s.getsockname()[1] for s in taken))')
cat >"$home/atlas.yaml" <<YAML
data: $home/data
workers: 1
drain_notice: 0s
listen:
  - address: 127.0.0.1:$port
admin: { address: 127.0.0.1:$admin }
client: { head_timeout: 1s, body_timeout: 1s, body_max: 64KiB }
upstreams:
  up:
    kind: vllm
    url: http://127.0.0.1:$up/v1
    timeouts: { connect: 2s, first_byte: 3s, idle: 3s, total: 20s }
models:
  m: { upstream: up }
YAML
"$ATLAS" init --config "$home/atlas.yaml" >/dev/null
key=$("$ATLAS" key create --config "$home/atlas.yaml" --name wire)
"$ATLAS" serve --config "$home/atlas.yaml" 2>"$home/log" &
atlas=$!
/usr/bin/python3 - "$port" <<'PY'
import socket, sys, time
end = time.monotonic() + 20
while time.monotonic() < end:
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1) as s:
            s.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            if b" 200 " in s.recv(64):
                sys.exit(0)
    except OSError:
        pass
    time.sleep(0.02)  # between two looks, bounded by `end`
sys.exit("Atlas was not ready within 20 s")
PY

metric() { curl -s "http://127.0.0.1:$admin/metrics" | sed -n "s/^$1 //p"; }

# The request that would be good, in varnishtest's words.
body='{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}'
plain=${body//\\/}
# shellcheck disable=SC2016 # ${key} is a macro of varnishtest
post='POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n'

cases=
failed=0
count=0

is_chosen() { # is_chosen NAME WORD… — whether the name holds a word, or there is none
    local name=$1
    shift
    [ $# -gt 0 ] || return 0
    for word in "$@"; do [[ $name != *"$word"* ]] || return 0; done
    return 1
}

play() { # play NAME SCRIPT ATTEMPTS — ATTEMPTS may be empty: not counted
    local name=$1 script=$2 attempts=$3 before why='' from took
    count=$((count + 1))
    from=$EPOCHREALTIME
    before=$(metric atlas_attempts_total)
    varnishtest -l -t 30 -D "atlas=127.0.0.1 $port" -D "up=127.0.0.1 $up" -D "key=$key" "$script" \
        >"$home/out" 2>&1 </dev/null || why="varnishtest ended with $?"
    if [ -n "$attempts" ]; then # counted when the call ends
        for _ in {1..500}; do [ "$(metric atlas_calls_open)" != 0 ] || break; done
        attempts=$(($(metric atlas_attempts_total) - before - attempts))
        [ "$attempts" = 0 ] || why="${why:-$attempts requests more reached the model server than should}"
    fi
    took=$(awk -v a="$EPOCHREALTIME" -v b="$from" 'BEGIN { printf "%.3f", a - b }')
    cases+="<testcase classname=\"wire\" name=\"$name\" time=\"$took\">"
    if [ -n "$why" ]; then
        failed=$((failed + 1))
        echo "FAIL $name: $why"
        tail -n 40 "$home/out"
        cases+="<failure message=\"$why\"/>"
    fi
    cases+="</testcase>"
}

refuse() { # refuse NAME STATUS BYTES — a good request behind it must stay unread
    cat >"$home/row.vtc" <<VTC
varnishtest "$1"
client c1 -connect "\${atlas}" {
    send "$3"
    send "${post}Content-Length: ${#plain}\\r\\n\\r\\n$body"
    rxresp
    expect resp.status == $2
    expect resp.http.content-type == "application/json"
    expect resp.http.x-request-id ~ "^[0-9a-z]{26}\$"
    expect resp.body ~ "invalid_request_error"
    expect_close
} -run
VTC
    play "$1" "$home/row.vtc" 0
}

while IFS='|' read -r status bytes name; do
    [[ $status =~ ^[0-9] ]] || continue
    name="refused: ${name# }"
    is_chosen "$name" "$@" || continue
    bytes=${bytes# }
    bytes=${bytes% }
    bytes=${bytes//<post>/$post}
    bytes=${bytes//<body>/$body}
    refuse "$name" "${status% }" "${bytes//<length>/${#plain}}"
done <refused.rows

for script in *.vtc; do
    name=${script%.vtc}
    is_chosen "$name" "$@" || continue
    play "$name" "$script" "$(sed -n 's/^# attempts //p' "$script")"
done
if ! kill -0 "$atlas" 2>/dev/null || grep -q gateway_died "$home/log"; then
    echo "FAIL the gateway died:"
    tail -n 20 "$home/log"
    failed=$((failed + 1))
    cases+="<testcase classname=\"wire\" name=\"the_gateway_lives\"><failure message=\"it died\"/></testcase>"
    count=$((count + 1))
fi
echo "<testsuite name=\"wire\" tests=\"$count\" failures=\"$failed\">$cases</testsuite>" >"$JUNIT_DIR/wire.xml"
echo "wire: $((count - failed)) passed, $failed failed"
[ "$failed" = 0 ]
