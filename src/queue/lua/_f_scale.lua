-- Scaling: one record a queue, kept for `ranq scale`, whose programs come and go on any host. One of them at a time holds it,
-- by the server's clock; only the holder may write, save `mode` and `want`, which are the wishes of people.
local SCALE_TTL = 2592000 -- of a record that nobody touches any more

-- Who holds the record, what he calls himself, ms left; nil when nobody does.
local function scale_holder(P)
	local v = redis.pcall('HMGET', P .. 'scale', 'holder', 'who', 'until')
	if v.err or not v[1] then return nil, '', 0 end
	local left = num(v[3]) - wall_ms()
	if left <= 0 then return nil, '', 0 end
	return v[1], v[2] or '', left
end

local function scale_touch(P)
	redis.call('EXPIRE', P .. 'scale', SCALE_TTL)
	redis.call('EXPIRE', P .. 'scalelog', SCALE_TTL)
end
