"""What several clouds ask of the server that they share, each as one script, which Redis and Valkey run whole and alone.

    positions of an identity   hash    incarnation → "EXPRESS ORDERED SAVED"
    an edge's owner            string  "RUN NUMBER KEY": which cloud's life, by which of its claims, and the key's SHA-256 while it is connected
    an edge's contexts         string  for a day, given out once
    a cloud's life             string  for half a minute, renewed
    dead letters               hash    key → letter; another from identity and message id to the key
    counts                     hash    pairs, letters, bytes, and the key of the newest letter

A save is refused unless the run is still the edge's owner: a random number that no other life has. A counter would do as long as the server
forgets nothing; one that has lost its newest writes, being replaced by a replica, would give the same number out twice.

Everything here may be sent a second time when nobody knows what became of the first.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BURY", "CLAIM", "DROP", "KEEP_CONTEXTS", "RELEASE", "SAVE", "SCRIPTS"]

SAVE: Final = """
-- KEYS positions, owner, counts; ARGV run or "", incarnation, lane, position, incarnations kept, pairs kept
if ARGV[1] ~= '' then
  local owner = redis.call('GET', KEYS[2])
  if not owner or string.match(owner, '^%S+') ~= ARGV[1] then return 'taken' end
end
local all = redis.call('HGETALL', KEYS[1])
local lane, position = tonumber(ARGV[3]) + 1, tonumber(ARGV[4])
local count, newest, oldest, oldest_saved, pair = 0, 0, nil, nil, nil
for i = 1, #all, 2 do
  local express, ordered, saved = string.match(all[i + 1], '^(%d+) (%d+) (%d+)$')
  saved = tonumber(saved)
  count = count + 1
  newest = math.max(newest, saved)
  if all[i] == ARGV[2] then
    pair = {tonumber(express), tonumber(ordered), saved}
  elseif not oldest_saved or saved < oldest_saved then
    oldest, oldest_saved = all[i], saved
  end
end
if not pair then
  if count >= tonumber(ARGV[5]) then
    redis.call('HDEL', KEYS[1], oldest)
  else
    if tonumber(redis.call('HGET', KEYS[3], 'pairs') or 0) >= tonumber(ARGV[6]) then return 'full' end
    redis.call('HINCRBY', KEYS[3], 'pairs', 1)
  end
  pair = {0, 0, newest + 1}
elseif pair[3] < newest then
  pair[3] = newest + 1
elseif position <= pair[lane] then
  return 'saved'
end
pair[lane] = math.max(pair[lane], position)
redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f %.0f %.0f', pair[1], pair[2], pair[3]))
return 'saved'
"""

CLAIM: Final = """
-- KEYS owner, contexts; ARGV run, number, key, edge, prefix of lives, prefix of channels
local run, number, key = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%S+) (%S*)$')
local other = run and run ~= ARGV[1]
if other and key ~= '' and ARGV[3] ~= '' and key ~= ARGV[3] and redis.call('EXISTS', ARGV[5] .. run) == 1 then return {'rival'} end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
local contexts = redis.call('GET', KEYS[2])
redis.call('DEL', KEYS[2])
if other then redis.call('PUBLISH', ARGV[6] .. run, ARGV[4] .. ' ' .. number) end
return {'claimed', run == ARGV[1] and 'again' or 'anew', contexts or ''}
"""

RELEASE: Final = """
-- KEYS owner; ARGV run, number
local run, number = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%S+) %S*$')
if run == ARGV[1] and number == ARGV[2] then redis.call('SET', KEYS[1], run .. ' ' .. number .. ' ') end
return 'done'
"""

KEEP_CONTEXTS: Final = """
-- KEYS owner, contexts; ARGV run, contexts, seconds
if string.match(redis.call('GET', KEYS[1]) or '', '^%S+') ~= ARGV[1] then return 'taken' end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 'kept'
"""

BURY: Final = """
-- KEYS letters, ids, counts; ARGV id, letter, its bytes, letters kept, bytes kept
local key = redis.call('HGET', KEYS[2], ARGV[1])
if key then return {'kept', key} end
local letters, bytes = unpack(redis.call('HMGET', KEYS[3], 'letters', 'bytes'))
letters, bytes = tonumber(letters or 0), tonumber(bytes or 0)
if letters >= tonumber(ARGV[4]) or bytes + tonumber(ARGV[3]) > tonumber(ARGV[5]) then return {'full', tostring(letters), tostring(bytes)} end
key = tostring(redis.call('HINCRBY', KEYS[3], 'key', 1))
redis.call('HSET', KEYS[1], key, ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], key)
redis.call('HINCRBY', KEYS[3], 'letters', 1)
redis.call('HINCRBY', KEYS[3], 'bytes', ARGV[3])
return {'kept', key}
"""

DROP: Final = """
-- KEYS letters, ids, counts; ARGV key, id, its bytes
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('HINCRBY', KEYS[3], 'letters', -1)
redis.call('HINCRBY', KEYS[3], 'bytes', -ARGV[3])
return 1
"""

SCRIPTS: Final = (SAVE, CLAIM, RELEASE, KEEP_CONTEXTS, BURY, DROP)
"""All of them."""
