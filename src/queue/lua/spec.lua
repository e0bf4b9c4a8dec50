-- flags: allow-oom
-- args: job. reply: spec, state, uuid
local function spec(keys, args)
	if not int(args[1]) then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return fail('NOTFOUND') end
	local bytes = redis.call('GET', j.k .. ':spec')
	if not bytes then return lost(q, args[1], 'its record was deleted') end
	return { bytes, shown_state(j.state, j.open == 1), redis.call('HGET', j.k, 'uuid') or '' }
end
