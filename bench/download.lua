-- Downloads of one file: arguments are the path with its query, the file's size, and the bytes of each range (0: whole).
local path, size, piece

function init(args)
  path, size, piece = args[1], tonumber(args[2]), tonumber(args[3])
  math.randomseed(tonumber(args[4]) or 7)
end

function request()
  local headers = {}
  if piece > 0 then
    local start = math.random(0, size - piece)
    headers["Range"] = string.format("bytes=%d-%d", start, start + piece - 1)
  end
  return wrk.format("GET", path, headers)
end

function done(summary, latency, _)
  local bad = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "size_bytes": %d, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    bad.connect + bad.read + bad.write + bad.status + bad.timeout))
end
