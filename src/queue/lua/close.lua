-- flags: allow-oom
-- args: job, uuid, reason ("": the input is complete). reply: tasks
local function close(keys, args)
	if #args ~= 3 or not int(args[1]) or #args[3] > 200 then return fail('ARG') end
	local q, err = enter(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j or redis.call('HGET', j.k, 'uuid') ~= args[2] then return done(q, fail('NOTFOUND')) end
	if j.open == 1 and not j.final then close_input(q, j, args[3] ~= '' and args[3] or nil) end
	return done(q, j.n)
end
