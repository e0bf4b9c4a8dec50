-- args: uuid, job or 0 (its input is staged under the uuid), hash, slice, bytes of the argument, data. reply: 1
--
-- A slice of an argument that is too large to travel whole, before the block that stands for it. It goes with the input.
local function argument_put(keys, args)
	local slice, total = int(args[4]), int(args[5])
	if #args ~= 6 or not hex(args[1], 32) or not int(args[2]) or not hex(args[3], 64) or not slice or not total or total > ARGUMENT_MAX or
		slice >= slices_of(total) or #args[6] ~= math.min(SLICE_BYTES, total - slice * SLICE_BYTES) then
		return fail('ARG')
	end
	local field = args[3] .. ':' .. S(slice)
	if args[2] == '0' then
		local q, err = open(keys[1])
		if not q then return err end
		local k = q.P .. 's:' .. args[1]
		redis.call('HSET', k, field, args[6])
		redis.call('EXPIRE', k, STAGE_TTL)
		return 1
	end
	local q, err = enter(keys[1])
	if not q then return err end
	local j = job(q, args[2])
	if not j or redis.call('HGET', j.k, 'uuid') ~= args[1] then return done(q, fail('NOTFOUND')) end
	if j.open ~= 1 or j.final then return done(q, fail('STATE')) end
	renew_producer(q, j)
	change(q, j, 'HSET', j.k .. ':in', field, args[6])
	return done(q, 1)
end
