-- flags: no-writes
-- args: job, or 0 for the newest. reply: see info_of
local function info(keys, args)
	if not int(args[1]) then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local id = args[1]
	if id == '0' then id = redis.call('ZREVRANGE', q.P .. 'all', 0, 0)[1] end
	return id and info_of(q, id) or fail('NOTFOUND')
end
