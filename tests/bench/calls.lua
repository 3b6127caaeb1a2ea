-- SPDX-License-Identifier: Apache-2.0
-- wrk's script: one chat call, again and again. BENCH_KEY is the key, BENCH_BODY the body's file.
-- Prints "bench CALLS MICROSECONDS ERRORS".
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json"
wrk.headers["User-Agent"] = "bench"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")

function done(summary)
   local e = summary.errors
   io.write(string.format("bench %d %d %d\n", summary.requests, summary.duration,
      e.connect + e.read + e.write + e.status + e.timeout))
end
