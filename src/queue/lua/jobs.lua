-- flags: no-writes
-- args: first job, count (at most 100). reply: one list for each job, see info_of
local function jobs(keys, args)
	local count = int(args[2])
	if not int(args[1]) or not count or count < 1 or count > 100 then return fail('ARG') end
	local q, err = open(keys[1])
	if not q then return err end
	local reply = {}
	for _, id in ipairs(redis.call('ZRANGEBYSCORE', q.P .. 'all', args[1], '+inf', 'LIMIT', 0, count)) do
		reply[#reply + 1] = info_of(q, id)
	end
	return reply
end
