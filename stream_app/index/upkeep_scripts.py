"""What Redis does by itself when buckets are looked after: checking them, forgetting photos, switching layouts.

All that is said of scripts, keys and values in `stream_app.index.scripts` holds here.
"""

from __future__ import annotations

from stream_app.index.scripts import FENCE, LAYOUT, READING_FENCE, script

#: A page of what is known. ARGV: the layout, [7] cursor, [8] photos wished, [9] "1" to add photos to buckets that
#: lack them. Answers the next cursor, the living photos that some bucket lacked, and photo_id and version in turn.
CHECK_PHOTOS = script(
    LAYOUT,
    READING_FENCE,
    """
local astray, known = {}, {}
local page = redis.call('HSCAN', values, ARGV[7], 'COUNT', ARGV[8])
for at = 1, #page[2], 2 do
  local photo_id, value = page[2][at], page[2][at + 1]
  local held = true
  for table = 0, #value > 21 and tables - 1 or -1 do
    local key = key_in(value, table)
    local bucket = bucket_of(table, depth_of(table, key), key)
    if redis.call('SISMEMBER', bucket, photo_id) == 0 then
      held = false
      if ARGV[9] == '1' then redis.call('SADD', bucket, photo_id) end
    end
  end
  if not held then astray[#astray + 1] = photo_id end
  known[#known + 1] = photo_id
  known[#known + 1] = string.sub(value, 1, 21)
end
return {page[1], astray, known}
""",
)

#: Members that do not belong where they are. ARGV: the layout, [7] table, [8] first and [9] last prefix of `bits` bits,
#: [10] "1" to remove them. Answers how many were met of buckets, members and strays, and the largest bucket.
CHECK_BUCKETS = script(
    LAYOUT,
    READING_FENCE,
    """
local table, met, members, strays, largest = tonumber(ARGV[7]), 0, 0, 0, 0

local function check(d, key)
  if is_cut(table, d, key) then
    check(d + 1, key)
    check(d + 1, key + 2 ^ d)
    return
  end
  local bucket = bucket_of(table, d, key)
  local photo_ids, wrong = redis.call('SMEMBERS', bucket), {}
  values_of(photo_ids, function(photo_id, value)
    local belongs = value and #value > 21 and key_in(value, table) % 2 ^ d == key
    if not belongs then wrong[#wrong + 1] = photo_id end
  end)
  if #photo_ids > 0 then met = met + 1 end
  members, strays, largest = members + #photo_ids, strays + #wrong, math.max(largest, #photo_ids)
  if ARGV[10] == '1' then
    for _, photo_id in ipairs(wrong) do redis.call('SREM', bucket, photo_id) end
  end
end

for key = tonumber(ARGV[8]), tonumber(ARGV[9]) do check(bits, key) end
return {met, members, strays, largest}
""",
)

#: Forget photos as if they had never been known. ARGV: the layout, then photo_id and version in turn: one that has
#: another version by now stays. Answers how many were forgotten.
FORGET = script(
    LAYOUT,
    FENCE,
    """
local count = 0
for at = 7, #ARGV, 2 do
  local photo_id, value = ARGV[at], redis.call('HGET', values, ARGV[at])
  if value and string.sub(value, 1, 21) == ARGV[at + 1] then
    for table = 0, #value > 21 and tables - 1 or -1 do
      local key = key_in(value, table)
      redis.call('SREM', bucket_of(table, depth_of(table, key), key), photo_id)
    end
    redis.call('SREM', removed, photo_id)
    redis.call('HDEL', values, photo_id)
    count = count + 1
  end
end
return count
""",
)

#: Serve what was being filled. ARGV: [1] the layout. Answers the layout that served before; nil when the pointer
#: names another one as filling.
SWITCH = script(
    """
if redis.call('HGET', KEYS[1], 'filling') ~= ARGV[1] then return false end
local before = redis.call('HGET', KEYS[1], 'serving') or ''
redis.call('HSET', KEYS[1], 'serving', ARGV[1])
redis.call('HDEL', KEYS[1], 'filling')
return before
"""
)

#: Remove keys of a layout that is neither serving nor being filled. KEYS: the pointer, then those keys. ARGV: [1] the
#: layout, "" for the pointer itself, [2] "1" for a space that nobody uses. Answers how many were removed.
REMOVE_LAYOUT_KEYS = script(
    """
local now = redis.call('HMGET', KEYS[1], 'serving', 'filling')
if ARGV[2] ~= '1' and (ARGV[1] == '' or now[1] == ARGV[1] or now[2] == ARGV[1]) then return 0 end
return redis.call('UNLINK', unpack(KEYS, 2))
"""
)
