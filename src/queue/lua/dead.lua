-- flags: allow-oom
-- args: bridge, then of each task that is to blame for its death: job, index
-- reply: 1 when there is more to give back: call again. A bridge that is not there has left, or is lost already.
--
-- The word of somebody who saw all its processes end (`ranq join`): it need not run out its lease. With somebody to blame everything else
-- goes back untouched; with nobody it is as if its lease had ended.
local function dead(keys, args)
	if not hex(args[1], 32) or #args % 2 ~= 1 or #args > 2 * MANY then return fail('ARG') end
	local blamed = {}
	for p = 2, #args, 2 do
		local id, task = int(args[p]), int(args[p + 1])
		if not id or not task then return fail('ARG') end
		id = S(id)
		blamed[id] = blamed[id] or {}
		table.insert(blamed[id], task)
	end
	for _, list in pairs(blamed) do table.sort(list) end
	local q, err = open(keys[1])
	if not q then return err end
	if not q.exists or not redis.call('ZSCORE', q.P .. 'L', args[1]) then return 0 end
	clock(q)
	local complete = drop_bridge(q, args[1], next(blamed) and 'drained' or 'expired', blamed)
	upkeep(q)
	return done(q, complete and 0 or 1)
end
