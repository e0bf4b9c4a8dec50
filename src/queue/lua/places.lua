-- flags: no-writes
-- args: job. reply: start, end, bridge ("" waiting), deaths, expiries for each range that was leased or came back; at most 10,000
local function places(keys, args)
	if not int(args[1]) then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return fail('NOTFOUND') end
	local reply = {}
	local function note(s, e, bridge, deaths, x)
		local at = #reply
		if at >= 50000 then return end
		reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] = s, e, bridge, deaths, x
	end
	visit_fragments(q, args[1], function(bridge, s, f) note(s, f.e, bridge, f.deaths, f.x) end)
	visit_returned(j, function(s, e, x, deaths) note(s, e, '', deaths, x) end)
	return reply
end
