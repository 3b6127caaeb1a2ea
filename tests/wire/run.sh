#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [WORD]… — each script of this folder plays the client, and the model server where there is
# one, byte by byte (varnishtest), around one running Atlas. Leaves $JUNIT_DIR/wire.xml. WORDs choose
# scripts whose names hold one of them.
set -euo pipefail
cd "$(dirname "$0")"
: "${ATLAS:=$PWD/../../build/atlas}" "${JUNIT_DIR:=$PWD/../../build/junit}"
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

cases=
failed=0
count=0
for script in *.vtc; do
    name=${script%.vtc}
    wanted=${1:-$name}
    for word in "$@"; do [[ $name != *"$word"* ]] || wanted=$name; done
    [[ $name == *"$wanted"* ]] || continue
    count=$((count + 1))
    from=$(date +%s.%N)
    status=0
    varnishtest -l -t 30 -D "atlas=127.0.0.1 $port" -D "up=127.0.0.1 $up" -D "key=$key" "$script" \
        >"$home/out" 2>&1 || status=$?
    took=$(/usr/bin/python3 -c "import sys, time; print(f'{time.time() - float(sys.argv[1]):.3f}')" "$from")
    cases+="<testcase classname=\"wire\" name=\"$name\" time=\"$took\">"
    if [ "$status" != 0 ]; then
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 40 "$home/out"
        cases+="<failure message=\"varnishtest ended with $status\"/>"
    fi
    cases+="</testcase>"
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
