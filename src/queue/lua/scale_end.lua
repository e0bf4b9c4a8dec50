-- flags: allow-oom
-- args: holder. Forgets the record. reply: 1, 0
local function scale_end(keys, args)
	if not hex(args[1], 32) then return fail('ARG') end
	local q, err = open(keys[1])
	if not q then return err end
	local holder = scale_holder(q.P)
	if holder and holder ~= args[1] then return fail('STATE') end
	redis.call('UNLINK', q.P .. 'scale', q.P .. 'scalelog')
	return { 1, 0 }
end
