-- flags: no-writes
-- args: how many lines of the log (at most 200). reply: exists, ms left of the holder, its name, n, n * (field, value), lines
local function scale_get(keys, args)
	local lines = int(args[1])
	if not lines or lines > 200 then return fail('ARG') end
	local q, err = open(keys[1])
	if not q then return err end
	local _, who, left = scale_holder(q.P)
	local fields = peek('HGETALL', q.P .. 'scale')
	local reply = { #fields > 0 and 1 or 0, left, who, #fields / 2 }
	for i = 1, #fields do reply[#reply + 1] = fields[i] end
	if lines > 0 then
		for _, line in ipairs(peek('LRANGE', q.P .. 'scalelog', -lines, -1)) do reply[#reply + 1] = line end
	end
	return reply
end
