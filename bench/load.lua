-- The load of one run of wrk: arguments are the method, the body and the file of API keys, taken in turn.
local requests, turn = {}, 0

function init(args)
  local method, body = args[1], args[2]
  for key in io.lines(args[3]) do
    local headers = { ["Authorization"] = "Bearer " .. key, ["Host"] = "127.0.0.1" }
    if body ~= "" then headers["Content-Type"] = "application/json" end
    requests[#requests + 1] = wrk.format(method, nil, headers, body ~= "" and body or nil)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local bad = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    bad.connect + bad.read + bad.write + bad.status + bad.timeout))
end
