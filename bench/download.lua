-- Downloads of many files: arguments are a file of their paths with queries, one a line and all asked for in turn, the files'
-- size, and the bytes of each range (0: whole).
local paths, requests, size, piece, turn = {}, {}, 0, 0, 0

function init(args)
  size, piece = tonumber(args[2]), tonumber(args[3])
  for path in io.lines(args[1]) do
    paths[#paths + 1] = path
    requests[#requests + 1] = wrk.format("GET", path)
  end
  math.randomseed(7)
end

function request()
  turn = turn % #paths + 1
  if piece == 0 then
    return requests[turn]
  end
  local start = math.random(0, size - piece)
  return wrk.format("GET", paths[turn], { Range = string.format("bytes=%d-%d", start, start + piece - 1) })
end

function done(summary, latency, _)
  local bad = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "size_bytes": %d, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    bad.connect + bad.read + bad.write + bad.status + bad.timeout))
end
