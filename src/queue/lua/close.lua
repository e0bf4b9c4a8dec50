-- flags: allow-oom
-- args: job, uuid, batches, reason ("": the input is complete). reply: tasks
--
-- A complete input has as many batches as its producer sent: a server that lost some with its last second must not end the job
-- without them.
local function close(keys, args)
	if #args ~= 4 or not int(args[1]) or not int(args[3]) or #args[4] > 200 then return fail('ARG') end
	local q, err = enter(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	local v = j and redis.call('HMGET', j.k, 'uuid', 'batch')
	if not j or v[1] ~= args[2] then return done(q, fail('NOTFOUND')) end
	if args[4] == '' and num(v[2]) ~= int(args[3]) then return done(q, fail('STATE')) end
	if j.open == 1 and not j.final then close_input(q, j, args[4] ~= '' and args[4] or nil) end
	return done(q, j.n)
end
