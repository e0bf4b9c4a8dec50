-- flags: allow-oom
-- args: job, reason ("": none). reply: 1 when it was not over yet, 0
local function cancel(keys, args)
	if #args ~= 2 or not int(args[1]) or #args[2] > 200 then return fail('ARG') end
	local q, err = enter(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return done(q, fail('NOTFOUND')) end
	if j.final then return done(q, { 0, 0 }) end
	put(j, 'open', 0)
	finish(q, j, 'CANCELLED', args[2] ~= '' and args[2] or 'cancelled')
	return done(q, { 1, 0 })
end
