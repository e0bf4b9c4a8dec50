-- flags: allow-oom
-- args: job. reply: 1, 0; or 0, 1 when there is more to do: repeat. Cancels if need be; nothing of the job stays.
local function remove(keys, args)
	if not int(args[1]) then return fail('ARG') end
	local q, err = enter(keys[1])
	if not q then return err end
	if not job(q, args[1]) and not redis.call('ZSCORE', q.P .. 'all', args[1]) then return done(q, fail('NOTFOUND')) end
	if not remove_job(q, args[1]) then return done(q, { 0, 1 }) end
	q.emptied = true
	if q.rlimit > 0 then unhold_some(q) end
	return done(q, { 1, 0 })
end
