-- flags: allow-oom
-- args: job, waiter. reply: as info. The waiter's bell rings at the next commit or change of state.
local function watch(keys, args)
	if not int(args[1]) or not hex(args[2], 32) then return fail('ARG') end
	local q, err = enter(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return done(q, fail('NOTFOUND')) end
	verify(q, j)
	wait_for(q, j, args[2], 'any')
	flush(q)
	return info_of(q, args[1])
end
