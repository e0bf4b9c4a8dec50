-- flags: allow-oom
-- The same as lease, but gives only ranges that came back.
local function lease_returned(keys, args)
	return lease_ranges(keys, args, true)
end
