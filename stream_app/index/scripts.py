"""How Redis writes and reads the buckets by itself: Lua scripts, known to the server by their checksum.

KEYS[1] is always the partition's pointer, a hash of `serving` and `filling`; a script answers nil, and does nothing,
when it does not name the layouts that the caller reckons with. Keys that a script makes up are not declared as KEYS:
they carry the hash tag of KEYS[1], which is what a Cluster asks of them.

A value is a packed version (21 bytes), for a living photo followed by its keys (`depth` bits a table, without gaps) and
its vector. A
bucket is named by its table and its node: with the first `d` bits of a key, 2^d + those bits. A node is in the set
`s:<table>` once it was cut in two by the next bit; only uncut nodes have members.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple


class Script(NamedTuple):
    """A Lua script, and the checksum to call it by."""

    text: str
    sha: str


def script(*parts: str) -> Script:
    """A script of several parts."""
    text = "".join(parts)
    return Script(text, sha1(text.encode()).hexdigest())


#: The layout: ARGV[1] serving, [2] filling ("" for none), [3] prefix of the keys, [4] tables, [5] bits, [6] depth.
LAYOUT = """
local pointer, values = KEYS[1], KEYS[2]
local prefix, tables, bits, depth = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local removed = prefix .. 'd'

local function is_cut(table, d, key)
  if d < bits then return true end
  return d < depth and redis.call('SISMEMBER', prefix .. 's:' .. table, 2 ^ d + key % 2 ^ d) == 1
end

local function bucket_of(table, d, key) return prefix .. 'b:' .. table .. ':' .. (2 ^ d + key % 2 ^ d) end

local function depth_of(table, key)
  local d = bits
  while is_cut(table, d, key) do d = d + 1 end
  return d
end

local function key_in(value, table)
  local first = table * depth
  local at = 22 + math.floor(first / 8)
  local a, b, c, d = string.byte(value, at, at + 3)
  local bits_there = ((a * 256 + (b or 0)) * 256 + (c or 0)) * 256 + (d or 0)
  return math.floor(bits_there / 2 ^ (32 - depth - first % 8)) % 2 ^ depth
end

local function values_of(photo_ids, each)
  for first = 1, #photo_ids, 500 do
    local last = math.min(first + 499, #photo_ids)
    local found = redis.call('HMGET', values, unpack(photo_ids, first, last))
    for at = first, last do each(photo_ids[at], found[at - first + 1]) end
  end
end
"""

FENCE = """
local now = redis.call('HMGET', pointer, 'serving', 'filling')
if (now[1] or '') ~= ARGV[1] or (now[2] or '') ~= ARGV[2] then return false end
"""

READING_FENCE = """
if (redis.call('HGET', pointer, 'serving') or '') ~= ARGV[1] then return false end
"""

# A bucket is cut when it has just grown beyond the limit, twice it, four times it: one whose members are all alike
# cannot be cut, and must not be tried for each of them.
_CUTTING = """
local function add_all(bucket, photo_ids)
  for first = 1, #photo_ids, 500 do
    redis.call('SADD', bucket, unpack(photo_ids, first, math.min(first + 499, #photo_ids)))
  end
end

local function cut(table, d, key)
  if d >= depth then return end
  local bucket, sides, parted = bucket_of(table, d, key), {[0] = {}, {}}, false
  local first
  values_of(redis.call('SMEMBERS', bucket), function(photo_id, value)
    if not value or #value == 21 then return end
    local of_photo = key_in(value, table)
    if of_photo % 2 ^ d ~= key % 2 ^ d then return end
    first = first or of_photo
    parted = parted or of_photo ~= first
    local side = sides[math.floor(of_photo / 2 ^ d) % 2]
    side[#side + 1] = photo_id
  end)
  if not parted then return end
  redis.call('SADD', prefix .. 's:' .. table, 2 ^ d + key % 2 ^ d)
  redis.call('DEL', bucket)
  for bit = 0, 1 do
    local beneath = key % 2 ^ d + bit * 2 ^ d
    if #sides[bit] > 0 then add_all(bucket_of(table, d + 1, beneath), sides[bit]) end
    if #sides[bit] > most then cut(table, d + 1, beneath) end
  end
end

local function is_time_to_cut(count)
  local limit = most
  while limit < count - 1 do limit = 2 * limit end
  return count - 1 == limit and count <= 4097
end
"""

#: Compare-and-set of many values. ARGV: the layout, [7] members from which on a bucket is cut, [8] "1" to write values
#: of an equal version again, then photo_id and value in turn. An entry whose version is not newer changes nothing.
#: Repeating it is harmless, also after a call that Redis broke off, because the value is written after the buckets.
#: Answers 1 or 0 for each entry.
PUT = script(
    LAYOUT,
    "local most, again = tonumber(ARGV[7]), ARGV[8] == '1'",
    FENCE,
    _CUTTING,
    """
local function order(one, other)  -- not `<`: that compares by the server's locale
  for at = 1, 21 do
    local a, b = string.byte(one, at), string.byte(other, at)
    if a ~= b then return a - b end
  end
  return 0
end

local function leave(value, photo_id)
  if #value == 21 then return end
  for table = 0, tables - 1 do
    local key = key_in(value, table)
    redis.call('SREM', bucket_of(table, depth_of(table, key), key), photo_id)
  end
end

local full = {}
local function join(value, photo_id)
  if #value == 21 then return end
  for table = 0, tables - 1 do
    local key = key_in(value, table)
    local d = depth_of(table, key)
    local bucket = bucket_of(table, d, key)
    if redis.call('SADD', bucket, photo_id) == 1 and is_time_to_cut(redis.call('SCARD', bucket)) then
      full[#full + 1] = {table, d, key}
    end
  end
end

local changed = {}
for at = 9, #ARGV, 2 do
  local photo_id, value = ARGV[at], ARGV[at + 1]
  local known = redis.call('HGET', values, photo_id)
  local newer = known and order(value, known) or 1
  if newer < 0 or newer == 0 and not again then
    changed[#changed + 1] = 0
  else
    if known then leave(known, photo_id) end
    join(value, photo_id)
    redis.call(#value == 21 and 'SADD' or 'SREM', removed, photo_id)
    redis.call('HSET', values, photo_id, value)
    for each = 1, #full do cut(unpack(full[each])) end
    full = {}
    changed[#changed + 1] = 1
  end
end
return changed
""",
)

# One long answer instead of thousands of short ones: a client in Python takes microseconds for each of them.
_ROWS = """
local rows = {}
local function take(photo_id, value)
  if value and #value > 21 then rows[#rows + 1] = string.rep('0', 19 - #photo_id) .. photo_id .. value end
end
"""

# Best first over the trees of all tables: from a node the walk goes down the query's own side to a bucket, and puts
# each other side aside with what it costs to cross over, squared margins added up.
_WALK = """
local costs, nodes, size = {}, {}, 0

local function put_aside(cost, node)
  size = size + 1
  local at = size
  while at > 1 and costs[math.floor(at / 2)] > cost do
    local above = math.floor(at / 2)
    costs[at], nodes[at] = costs[above], nodes[above]
    at = above
  end
  costs[at], nodes[at] = cost, node
end

local function cheapest()
  local cost, node = costs[1], nodes[1]
  local last_cost, last_node = costs[size], nodes[size]
  costs[size], nodes[size] = nil, nil
  size = size - 1
  local at = 1
  while 2 * at <= size do
    local below = 2 * at
    if below < size and costs[below + 1] < costs[below] then below = below + 1 end
    if costs[below] >= last_cost then break end
    costs[at], nodes[at] = costs[below], nodes[below]
    at = below
  end
  if size > 0 then costs[at], nodes[at] = last_cost, last_node end
  return cost, node
end

local function next_bucket()
  local cost, node = cheapest()
  local table, d, key = node[1], node[2], node[3]
  while is_cut(table, d, key) do
    local margin = struct.unpack('<f', ARGV[10], 1 + 4 * (table * depth + d))
    put_aside(cost + margin, {table, d + 1, bit.bxor(key, 2 ^ d)})
    d = d + 1
  end
  return bucket_of(table, d, key)
end
"""

#: Candidates, likeliest first. ARGV: the layout, [7] candidates that are enough, [8] photos of a partition that is
#: better read whole, [9] a value with the query's keys, [10] its squared margins (float32 [tables, depth]).
#: Answers one string of rows: photo_id (19 digits) and value of each living member; 1 for a small partition.
READ_BUCKETS = script(
    LAYOUT,
    READING_FENCE,
    "if redis.call('HLEN', values) <= tonumber(ARGV[8]) then return 1 end",
    _ROWS,
    _WALK,
    """
local enough, looked = tonumber(ARGV[7]), 0
local seen, photo_ids = {}, {}

local function see(members)
  for _, photo_id in ipairs(members) do
    if not seen[photo_id] then
      seen[photo_id] = true
      photo_ids[#photo_ids + 1] = photo_id
    end
  end
end

for table = 0, tables - 1 do
  put_aside(0, {table, 0, key_in(ARGV[9], table)})
end
while size > 0 and #photo_ids < enough and looked < 16384 do
  local buckets, expected = {}, #photo_ids
  while size > 0 and #buckets < 16 and expected < enough and looked < 16384 do
    local bucket = next_bucket()
    local count = redis.call('SCARD', bucket)
    looked, expected = looked + 1, expected + count
    if count > 4096 then  -- members that no plane can tell apart: some of them will do
      see(redis.call('SRANDMEMBER', bucket, 4096))
    elseif count > 0 then
      buckets[#buckets + 1] = bucket
    end
  end
  if #buckets > 0 then see(redis.call('SUNION', unpack(buckets))) end
end
values_of(photo_ids, take)
return table.concat(rows)
""",
)

#: A page of everything. ARGV: the layout, [7] cursor, [8] photos wished. Answers the next cursor, and rows as above.
READ_PAGE = script(
    LAYOUT,
    READING_FENCE,
    _ROWS,
    """
local page = redis.call('HSCAN', values, ARGV[7], 'COUNT', ARGV[8])
for at = 1, #page[2], 2 do take(page[2][at], page[2][at + 1]) end
return {page[1], table.concat(rows)}
""",
)
