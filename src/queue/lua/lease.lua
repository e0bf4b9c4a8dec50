-- args: bridge, seq, want, max ranges, flags, time left in ms or -1, tags with a comma before and behind each
-- reply: paused, drain, idle, seq, n, n * (job, start, end, deaths, expiries, flags: 1 suspect, 2 a client waits),
--        number of bridges (0 when n is), with flag 16 how many tasks of the only job that has work are left (2^53: nobody
--        knows), with flag 8 the record of the first range's job if it has at most 64 KiB,
--        and behind that, if the range begins in an input block of at most 64 KiB: the index of its first line, block
local function lease(keys, args)
	return lease_ranges(keys, args, false)
end
