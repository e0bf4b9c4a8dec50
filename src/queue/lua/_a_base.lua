-- Helpers of all functions: numbers, errors, the queue and its virtual clock. Nothing here may call the server while it is
-- loaded, nothing may make a global. PROTOCOL.md names the keys.

-- Of what is stored: PROTOCOL.md, Keys.
local SCHEMA = '2'
-- Highest index + 1. Above it a double is no longer exact.
local LIMIT = 9007199254740992
-- Elements of one reply, bells of one call, fragments of one clean-up: what keeps any call within a few milliseconds.
local MANY = 1000
-- Bridges that a call which concerns all of them looks at: each has two connections, and a server takes 10,000.
local BRIDGES = 10000
local BELL_TTL = 60
local STAGE_TTL = 3600
local MODULE_TTL = 60
-- A larger job record is not sent along with a lease.
local RECORD_MAX = 65536

-- Whole numbers as text. Lua's own way writes 1e+14 from there on, and takes twice as long.
-- Most are small: those are made once (a Functions library keeps them).
local texts = {}
local function S(number)
	local text = texts[number]
	if text then return text end
	text = string.format('%d', number)
	if number >= 0 and number < 1000 and number % 1 == 0 then texts[number] = text end
	return text
end

-- Small integers that were met, by their text: at most 1,000.
local ints = {}

-- A decimal integer below 2^53, or nil.
local function int(text)
	local value = ints[text]
	if value then return value end
	if type(text) ~= 'string' or #text > 16 or not string.find(text, '^%d+$') then return nil end
	value = tonumber(text)
	if value < 1000 and text == S(value) then ints[text] = value end
	if value < LIMIT then return value end
end

-- A field of a hash as a number; what somebody else wrote there may be anything.
local function num(text)
	if not text then return 0 end
	local value = ints[text]
	if value then return value end
	value = tonumber(text)
	if value and value == value and value > -LIMIT and value < LIMIT then return value end
	return 0
end

local function nat(text)
	local value = num(text)
	return value > 0 and math.floor(value) or 0
end

-- Reads a list from a key that somebody may have replaced by another type: then it is empty.
local function peek(...)
	local reply = redis.pcall(...)
	if type(reply) ~= 'table' or reply.err then return {} end
	return reply
end

local function hex(text, length)
	return type(text) == 'string' and #text == length and not string.find(text, '[^0-9a-f]')
end

-- Error replies: fixed texts only, since text from a user in an error reply can break the stream of replies.
local function fail(code)
	local text = {
		ARG = 'bad argument',
		GONE = 'no such bridge, or its lease has expired',
		NOTFOUND = 'no such job',
		NOQUEUE = 'no such queue',
		STATE = 'not possible in the present state',
		LEASE = 'the queue is in use with another lease',
		LOST = 'the record or the input of the job was deleted',
		INPUT = 'the staged input does not cover the tasks',
		BLOB = 'a module or job data is missing, send it again',
		AFTER = 'a job named in --after does not exist',
		EPOCH = 'another consumer took over',
		SEQ = 'this lease request was answered before',
		APART = 'the bytes of a result are not there, send them with it',
		SCHEMA = 'the queue was made by another version of ranq',
	}
	return redis.error_reply('RANQ_' .. code .. ' ' .. text[code])
end

-- What one call knows about the queue; jobs: those that it touched; record: what the queue knows of the calling bridge. nil and an error
-- reply when the queue cannot be used.
local function open(key, bridge)
	if not string.find(key or '', '^ranq:{[%w._-]+}:q$') then return nil, fail('ARG') end
	local v = redis.call('HMGET', key, 'schema', 'lease', 'vt', 'last', 'paused', 'drains', 'rbytes', 'rlimit', 'due', 'chores',
		'b:' .. (bridge or ''), 'i:' .. (bridge or ''), 'work')
	if v[1] and v[1] ~= SCHEMA then return nil, fail('SCHEMA') end
	local lease = num(v[2])
	if lease < 1 then lease = 15000 end
	return {
		key = key, P = string.sub(key, 1, -2), exists = v[1] and true or false, lease = lease, vt = num(v[3]), last = num(v[4]),
		paused = v[5] == '1', drains = num(v[6]), rbytes = num(v[7]), rlimit = num(v[8]), freshbytes = 0,
		due = num(v[9]), chores = num(v[10]), record = v[11], asleep = v[12] == '1', work = v[13] == '1',
		jobs = {}, order = {}, moved = false, changed = {}, bells = 0,
	}
end

-- Like open, for functions that make sense only where the queue exists.
local function open_existing(key)
	local q, err = open(key)
	if q and not q.exists then return nil, fail('NOQUEUE') end
	return q, err
end

local function wall_ms()
	local t = redis.call('TIME')
	local us = tonumber(t[2])
	return t[1] * 1000 + (us - us % 1000) / 1000
end

-- Fields of the queue that a call changes are written together at its end (save in _c_ranges.lua).
local function q_put(q, name, value)
	q.changed[name] = value
end

-- `work`: something may stand in `ready`, so that an idle bridge's call need not look.
local function q_work(q, there)
	if q.work == there then return end
	q.work = there
	q_put(q, 'work', there and 1 or 0)
end

-- Two lower bounds for the virtual time at which housekeeping has something to do: `due` for leases of bridges, `chores` for the rest.
local function q_due(q, name, time)
	if time >= q[name] then return end
	q[name] = time
	q_put(q, name, S(time))
end

-- The virtual clock: it follows the server's clock, but a step of any size, a frozen or a restarted server counts for at most a
-- fifth of a lease, so that only a bridge that is silent while others speak loses its lease. Steps below 10 ms wait in `last`.
local function clock(q)
	local now = wall_ms()
	local step, cap = now - q.last, math.floor(q.lease / 5)
	q.now = now
	if step >= 0 and step < 10 then return end
	if step < 0 then step = 0 elseif step > cap then step = cap end
	q.vt = q.vt + step
	q.moved = true
	q_put(q, 'vt', S(q.vt))
	q_put(q, 'last', S(now))
end

-- Makes the queue, or gives an unused one its properties. lease 0 and rlimit 0: no wish. Returns an error reply or nil.
local function create(q, lease, rlimit)
	if not q.exists then
		q.exists = true
		if lease > 0 then q.lease = lease end
		redis.call('HSET', q.key, 'schema', SCHEMA, 'lease', S(q.lease), 'vt', S(q.vt), 'last', S(wall_ms()))
		q.last = wall_ms()
	elseif lease > 0 and lease ~= q.lease then
		if redis.call('EXISTS', q.P .. 'all', q.P .. 'L') > 0 then return fail('LEASE') end
		q.lease = lease
		redis.call('HSET', q.key, 'lease', S(lease))
	end
	if rlimit > 0 and rlimit ~= q.rlimit then
		q.rlimit = rlimit
		q_due(q, 'chores', 0)
		redis.call('HSET', q.key, 'rlimit', S(rlimit))
	end
end

-- Bells are hints: what they announce is in the state already, so a lost one costs time only. The list is bounded; that of a
-- registered bridge goes with it, any other expires.
local function ring_bridge(q, id, text)
	local key = q.P .. 'bell:' .. id
	if redis.call('RPUSH', key, text) > MANY then redis.call('LTRIM', key, -MANY, -1) end
end

local function ring(q, id, text)
	ring_bridge(q, id, text)
	redis.call('EXPIRE', q.P .. 'bell:' .. id, BELL_TTL)
end

-- Wakes at most `count` bridges that found nothing to do; id: a job that has work, so that its record can be asked for with the lease.
local function ring_idle(q, count, id)
	if count > MANY then count = MANY end
	local ids = redis.call('SPOP', q.P .. 'idle', count)
	for i = 1, #ids do
		ring_bridge(q, ids[i], id and 'work ' .. id or 'work')
		q_put(q, 'i:' .. ids[i], 0)
		if ids[i] == q.bridge then q.asleep = false end
	end
end

local function ring_bridges(q, text)
	local ids = redis.call('ZRANGE', q.P .. 'L', 0, BRIDGES - 1)
	for i = 1, #ids do ring_bridge(q, ids[i], text) end
end

-- When the last job is removed and no bridge is there, nothing of the queue stays.
local function vanish_if_unused(q)
	local P = q.P
	if redis.call('EXISTS', P .. 'all', P .. 'L') > 0 then return end
	redis.call('UNLINK', q.key, P .. 'ready', P .. 'held', P .. 'LP', P .. 'idle', P .. 'exp', P .. 'uuids', P .. 'blobs', P .. 'deps')
	q.exists = false
end
