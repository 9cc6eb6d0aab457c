"""What Redis does in one step each, as Lua scripts.

Rule 1: every key that a script touches is handed to it; all are in one cluster slot.
Rule 2: records of a kind are the fields of hashes, and their ends the scores of a
    sorted set, from which it is told what is alive, what is swept and what is surplus.
Rule 3: a server that is short of memory may drop any of these keys. Records that miss a
    part are as good as forgotten.
Rule 4: numbers are read from text and written as text, without loss.
Rule 5: no command newer than Redis 3.2.
"""

__all__ = [
    "ACQUIRE",
    "ADD_COUNTS",
    "ALIVE",
    "DROP_HANDLE",
    "NOTE_USE",
    "ONE",
    "PUT_BACKOFF",
    "PUT_HANDLE",
    "RELEASE",
    "RENEW",
    "SWEEP",
]

_PARTS = """
local function ends_after(ends, key, time)
  local score = redis.call('ZSCORE', ends, key)
  return score and tonumber(score) > tonumber(time)
end

-- Whether a lease still writes: nobody has got one since, and it ended not long ago.
local function writes(ends, leases, key, mark, late)
  return redis.call('HGET', leases, key) == mark and ends_after(ends, key, late)
end

local function is_named(handles, key, name)
  local stored = redis.call('HGET', handles, key)
  return stored and string.sub(stored, 1, #name + 1) == name .. '\\n'
end

local function forget(keys, ends, hashes)
  for _, key in ipairs(keys) do
    redis.call('ZREM', ends, key)
    for _, hash in ipairs(hashes) do redis.call('HDEL', hash, key) end
  end
end

-- Forgets what ends soonest while there is more than allowed, and sees to it that all
-- of it expires when nobody is there to sweep.
local function bound(ends, hashes, most, milliseconds)
  local surplus = redis.call('ZCARD', ends) - tonumber(most)
  if surplus > 0 then
    forget(redis.call('ZRANGE', ends, 0, surplus - 1), ends, hashes)
  end
  for _, name in ipairs({ends, unpack(hashes)}) do
    if redis.call('PTTL', name) < tonumber(milliseconds) then
      redis.call('PEXPIRE', name, milliseconds)
    end
  end
end
"""

ONE = (
    _PARTS
    + """
-- ends, hashes... / key, now: nil, or end and values
local key, now = unpack(ARGV)
if not ends_after(KEYS[1], key, now) then return false end
local found = {redis.call('ZSCORE', KEYS[1], key)}
for at = 2, #KEYS do
  found[at] = redis.call('HGET', KEYS[at], key)
  if not found[at] then return false end
end
return found
"""
)

ALIVE = """
-- ends, hashes... / now: key, end and values of each, the one that ends soonest first
local rows = {}
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES')
for at = 1, #found, 2 do
  local row, whole = {found[at], found[at + 1]}, true
  for hash = 2, #KEYS do
    row[hash + 1] = redis.call('HGET', KEYS[hash], found[at])
    whole = whole and row[hash + 1]
  end
  if whole then rows[#rows + 1] = row end
end
return rows
"""

ACQUIRE = (
    _PARTS
    + """
-- ends, leases, newest token / key, owner, now, until, most, milliseconds
local key, owner, now, till, most, milliseconds = unpack(ARGV)
if ends_after(KEYS[1], key, now) then return false end
local token = redis.call('INCR', KEYS[3])
redis.call('HSET', KEYS[2], key, string.format('%.0f %s', token, owner))
redis.call('ZADD', KEYS[1], till, key)
bound(KEYS[1], {KEYS[2]}, most, milliseconds)
redis.call('PEXPIRE', KEYS[3], math.max(milliseconds, redis.call('PTTL', KEYS[3])))
return token
"""
)

RENEW = (
    _PARTS
    + """
-- ends, leases / key, mark, late, until, most, milliseconds
local key, mark, late, till, most, milliseconds = unpack(ARGV)
if not writes(KEYS[1], KEYS[2], key, mark, late) then return 0 end
redis.call('ZADD', KEYS[1], till, key)
bound(KEYS[1], {KEYS[2]}, most, milliseconds)
return 1
"""
)

RELEASE = (
    _PARTS
    + """
-- ends, leases / key, mark
local key, mark = unpack(ARGV)
if redis.call('HGET', KEYS[2], key) == mark then forget({key}, KEYS[1], {KEYS[2]}) end
"""
)

PUT_HANDLE = (
    _PARTS
    + """
-- ends of leases, leases, ends, handles, uses
-- / key, mark, late, now, name, handle, use, until, most, milliseconds
local key, mark, late, now, name, handle, use, till, most, milliseconds = unpack(ARGV)
if not writes(KEYS[1], KEYS[2], key, mark, late) then return 0 end
local same = ends_after(KEYS[3], key, now) and is_named(KEYS[4], key, name)
if not same or redis.call('HEXISTS', KEYS[5], key) == 0 then
  redis.call('HSET', KEYS[5], key, use)
end
redis.call('HSET', KEYS[4], key, handle)
redis.call('ZADD', KEYS[3], till, key)
bound(KEYS[3], {KEYS[4], KEYS[5]}, most, milliseconds)
return 1
"""
)

NOTE_USE = (
    _PARTS
    + """
-- ends, handles, uses / key, now, name, saved or -
local key, now, name, saved = unpack(ARGV)
if not ends_after(KEYS[1], key, now) or not is_named(KEYS[2], key, name) then
  return 0
end
local use = redis.call('HGET', KEYS[3], key)
if not use then return 0 end
local uses, used, before = string.match(use, '(%S+) (%S+) (%S+)')
if used ~= '-' and tonumber(used) > tonumber(now) then now = used end
if saved == '-' then
  saved = before
elseif before ~= '-' then
  saved = string.format('%.17g', tonumber(before) + tonumber(saved))
end
redis.call('HSET', KEYS[3], key, string.format('%.0f %s %s', uses + 1, now, saved))
return 1
"""
)

DROP_HANDLE = (
    _PARTS
    + """
-- ends, handles, uses / key, name
local key, name = unpack(ARGV)
if not is_named(KEYS[2], key, name) then return 0 end
forget({key}, KEYS[1], {KEYS[2], KEYS[3]})
return 1
"""
)

PUT_BACKOFF = (
    _PARTS
    + """
-- ends, reasons / key, reason, until, most, milliseconds
local key, reason, till, most, milliseconds = unpack(ARGV)
if ends_after(KEYS[1], key, till) then return end
redis.call('HSET', KEYS[2], key, reason)
redis.call('ZADD', KEYS[1], till, key)
bound(KEYS[1], {KEYS[2]}, most, milliseconds)
"""
)

ADD_COUNTS = (
    _PARTS
    + """
-- ends, sums, namespaces
-- / namespace, now, until, limit, most, milliseconds, key, numbers, key, numbers...
local namespace, now, till, limit, most, milliseconds = unpack(ARGV, 1, 6)
for at = 7, #ARGV, 2 do
  local key, last, sums, place = ARGV[at], till, {}, 0
  if ends_after(KEYS[1], key, now) then
    for number in string.gmatch(redis.call('HGET', KEYS[2], key) or '', '[^,]+') do
      sums[#sums + 1] = number
    end
    local before = redis.call('ZSCORE', KEYS[1], key)
    if tonumber(before) > tonumber(last) then last = before end
  end
  for number in string.gmatch(ARGV[at + 1], '[^,]+') do
    place = place + 1
    local sum = tonumber(sums[place] or 0) + tonumber(number)
    sum = math.max(-limit, math.min(tonumber(limit), sum))
    sums[place] = string.format('%.0f', sum)
  end
  redis.call('HSET', KEYS[2], key, table.concat(sums, ','))
  redis.call('ZADD', KEYS[1], last, key)
end
bound(KEYS[1], {KEYS[2]}, most, milliseconds)
redis.call('SADD', KEYS[3], namespace)
redis.call('PEXPIRE', KEYS[3], math.max(milliseconds, redis.call('PTTL', KEYS[3])))
"""
)

SWEEP = (
    _PARTS
    + """
-- ends, hashes... / now, most: how many were forgotten
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
forget(ended, KEYS[1], {unpack(KEYS, 2)})
return #ended
"""
)
