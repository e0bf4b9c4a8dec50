-- args: job, task, name, slice, bytes of the whole value, data. reply: 1
--
-- A slice of a result that is too large to travel whole. The slices lie under a name that no other attempt has, and expire unless a
-- commit takes them in time (commit.lua), or go with the job.
local function slice_put(keys, args)
	local task, slice, total = int(args[2]), int(args[4]), int(args[5])
	if #args ~= 6 or not int(args[1]) or not task or not hex(args[3], 64) or not slice or not total or total > SPLIT_MAX then return fail('ARG') end
	if slice >= slices_of(total) or #args[6] ~= math.min(SLICE_BYTES, total - slice * SLICE_BYTES) then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return fail('NOTFOUND') end
	if j.final then return fail('STATE') end
	local name = j.k .. ':v:' .. args[3]
	redis.call('HSET', name, args[4], args[6])
	redis.call('EXPIRE', name, STAGE_TTL)
	redis.call('ZADD', j.k .. ':v', args[2], args[2] .. ':' .. args[3] .. ':' .. args[5])
	return 1
end
