-- flags: no-writes
-- args: first, count (at most 100). reply: what removed jobs have left in files, `UUID` and directory, oldest first. Outlives the queue
local function files(keys, args)
	local first, count = int(args[1]), int(args[2])
	if not first or not count or count < 1 or count > 100 then return fail('ARG') end
	local q, err = open(keys[1])
	if not q then return err end
	return peek('ZRANGE', q.P .. 'files', S(first), S(first + count - 1))
end
