-- Reads, and counts the answers that are not as they must be.
-- wrk --script load.lua URL -- members|strangers FILE_OF_TOKENS

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  kind, right, wrong, first_wrong = args[1], 0, 0, ""
  local cookies = {}
  if kind == "members" then
    for token in io.lines(args[2]) do
      table.insert(cookies, "session=" .. token)
    end
  else
    local unknown = string.rep("A", 64)
    cookies = {
      "", "session=", "session=garbage", "session=" .. unknown, "session=" .. unknown .. "A",
      "session=" .. string.rep("%41", 64), "SESSION=" .. unknown, "other=1; session=\"" .. unknown .. "\"",
      "session=" .. unknown .. "; session=" .. string.rep("B", 64), "session=\255\254",
      "session=" .. string.rep("A", 3000),
    }
  end
  requests = {}
  for _, cookie in ipairs(cookies) do
    for _, path in ipairs({ "/me", "/public" }) do
      local headers = cookie ~= "" and { Cookie = cookie } or {}
      table.insert(requests, wrk.format("GET", path, headers))
    end
  end
  sent = 0
end

function request()
  sent = sent + 1
  return requests[sent % #requests + 1]
end

function response(status, headers, body)
  local is_right
  if kind == "members" then
    is_right = status == 200 and body == "name-100"
  else
    is_right = status == 401 or status == 200 and body == "nobody"
  end
  if is_right then
    right = right + 1
  else
    wrong = wrong + 1
    if first_wrong == "" then
      first_wrong = status .. " " .. body:gsub("%s+", " ")
    end
  end
end

function done(summary)
  local errors, all = summary.errors, { right = 0, wrong = 0, first_wrong = "" }
  for _, thread in ipairs(threads) do
    all.right = all.right + thread:get("right")
    all.wrong = all.wrong + thread:get("wrong")
    all.first_wrong = all.first_wrong .. thread:get("first_wrong")
  end
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("\nright=%d\nwrong=%d\nfailed=%d\nfirst_wrong=%s\n",
    all.right, all.wrong, failed, all.first_wrong))
end
