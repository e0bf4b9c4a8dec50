-- flags: no-writes
-- What scaling has to know: work that a new allocation could take part in. Jobs that wait for others, are held, paused or over do not
-- stand in `ready`.
-- reply: exists, paused, lease, jobs in ready, then for each of the first 100 in the order of service:
--        job, tasks, done, leased, waiting (tasks that nobody has), us of the done ones, time request in ms, tags wanted
local function demand(keys, args)
	local q, err = open(keys[1])
	if not q then return err end
	local reply = { q.exists and 1 or 0, q.paused and 1 or 0, q.exists and q.lease or 0, redis.call('ZCARD', q.P .. 'ready') }
	for _, id in ipairs(redis.call('ZRANGE', q.P .. 'ready', 0, 99)) do
		local j = job(q, id)
		if j and not j.final and not j.broken then
			local new = j.parked == 0 and j.held == 0 and j.n - j.next or 0
			local at = #reply
			reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] = tonumber(id), j.n, j.done, j.leased
			reply[at + 5], reply[at + 6], reply[at + 7], reply[at + 8] = j.retn + new, math.floor(j.el), j.p.treq, j.p.tags or ''
		end
	end
	return reply
end
