"""What Redis does for the buckets by itself: three Lua scripts, known to the server by their checksum.

Keys that a script makes up are not declared as KEYS: they carry the hash tag of KEYS[1], which is what a Cluster
asks of them. A value is a packed version (21 bytes), for a living photo followed by bucket keys and vector.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple


class Script(NamedTuple):
    """A Lua script, and the checksum to call it by."""

    text: str
    sha: str


def _script(text: str) -> Script:
    return Script(text, sha1(text.encode()).hexdigest())


#: Compare-and-set of many values. ARGV: bucket prefix, number of tables, then photo_id and value in turn. An entry
#: whose version is not newer changes nothing. Repeating it is harmless, also after a call that Redis broke off,
#: because the value is written last. Answers 1 or 0 for each entry.
PUT = _script("""
local values, removed, prefix, tables = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])

local function newer(one, other)  -- not `>`: that compares by the server's locale
  for at = 1, 21 do
    local a, b = string.byte(one, at), string.byte(other, at)
    if a ~= b then return a > b end
  end
  return false
end

local function each_bucket(value, command, photo_id)
  if #value == 21 then return end
  for table = 0, tables - 1 do
    local a, b, c = string.byte(value, 22 + 3 * table, 24 + 3 * table)
    redis.call(command, prefix .. table .. ':' .. (a * 65536 + b * 256 + c), photo_id)
  end
end

local changed = {}
for at = 3, #ARGV, 2 do
  local photo_id, value = ARGV[at], ARGV[at + 1]
  local known = redis.call('HGET', values, photo_id)
  if known and not newer(value, known) then
    changed[#changed + 1] = 0
  else
    if known then each_bucket(known, 'SREM', photo_id) end
    each_bucket(value, 'SADD', photo_id)
    redis.call(#value == 21 and 'SADD' or 'SREM', removed, photo_id)
    redis.call('HSET', values, photo_id, value)
    changed[#changed + 1] = 1
  end
end
return changed
""")

# One long answer instead of thousands of short ones: a client in Python takes microseconds for each of them.
_ROWS = """
local rows = {}
local function take(photo_id, value)
  if value and #value > 21 then rows[#rows + 1] = string.rep('0', 19 - #photo_id) .. photo_id .. value end
end
"""

#: Candidates. KEYS: the values, then buckets, likeliest first. ARGV: candidates that are enough, buckets to unite
#: at a time. Answers one string of rows: photo_id (19 digits) and value of each living member.
READ_BUCKETS = _script(
    _ROWS
    + """
local enough, step = tonumber(ARGV[1]), tonumber(ARGV[2])
local seen, photo_ids = {}, {}
for first = 2, #KEYS, step do
  if #photo_ids >= enough then break end
  for _, photo_id in ipairs(redis.call('SUNION', unpack(KEYS, first, math.min(first + step - 1, #KEYS)))) do
    if not seen[photo_id] then
      seen[photo_id] = true
      photo_ids[#photo_ids + 1] = photo_id
    end
  end
end
for first = 1, #photo_ids, 500 do
  local last = math.min(first + 499, #photo_ids)
  local values = redis.call('HMGET', KEYS[1], unpack(photo_ids, first, last))
  for at = first, last do take(photo_ids[at], values[at - first + 1]) end
end
return table.concat(rows)
"""
)

#: A page of everything. KEYS: the values. ARGV: cursor, photos wished. Answers the next cursor, and rows as above.
READ_PAGE = _script(
    _ROWS
    + """
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
for at = 1, #page[2], 2 do take(page[2][at], page[2][at + 1]) end
return {page[1], table.concat(rows)}
"""
)
