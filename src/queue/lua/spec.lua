-- flags: allow-oom
-- args: job. reply: spec, state, uuid
local function spec(keys, args)
	if not int(args[1]) then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local k = q.P .. 'j:' .. args[1]
	local v = redis.call('HMGET', k, 'state', 'open', 'uuid')
	local bytes = redis.call('GET', k .. ':spec')
	if not v[1] then return fail('NOTFOUND') end
	if not bytes then return lost(q, args[1], 'its record was deleted') end
	return { bytes, shown_state(v[1], v[2] == '1'), v[3] or '' }
end
