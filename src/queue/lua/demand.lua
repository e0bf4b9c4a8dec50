-- flags: no-writes
-- What scaling has to know: work that a new allocation could take part in. Jobs that wait for others, are held, paused or over do not
-- stand in `ready`; of those that do not stand there because all of their tasks are leased, what bridges hold may still come back.
-- reply: exists, paused, lease, jobs in ready, then for each of at most 100 jobs, those of ready first, in the order of service:
--        job, tasks, done, leased, waiting (tasks that nobody has), us of the done ones, time request in ms, tags wanted
local function demand_of(q, id, reply)
	local j = job(q, id)
	if not j or j.final or j.broken then return end
	local new = j.parked == 0 and j.held == 0 and j.n - j.next or 0
	local at = #reply
	reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] = tonumber(id), j.n, j.done, j.leased
	reply[at + 5], reply[at + 6], reply[at + 7], reply[at + 8] = j.retn + new, math.floor(j.el), j.p.treq, j.p.tags or ''
end

local function demand(keys, args)
	local q, err = open(keys[1])
	if not q then return err end
	local P = q.P
	local reply = { q.exists and 1 or 0, q.paused and 1 or 0, q.exists and q.lease or 0, redis.call('ZCARD', P .. 'ready') }
	local seen, count, fields = {}, 0, 0
	for _, id in ipairs(redis.call('ZRANGE', P .. 'ready', 0, 99)) do
		seen[id] = true
		count = count + 1
		demand_of(q, id, reply)
	end
	for _, bridge in ipairs(redis.call('ZRANGE', P .. 'L', 0, BRIDGES - 1)) do
		if fields > MANY then break end
		for _, name in ipairs(peek('HKEYS', P .. 'b:' .. bridge)) do
			local id = string.match(name, '^(%d+):%d+$')
			fields = fields + 1
			if id and not seen[id] and count < 100 then
				seen[id] = true
				count = count + 1
				demand_of(q, id, reply)
			end
		end
	end
	return reply
end
