-- flags: allow-oom
-- reply: jobs removed, 1 when there is more: repeat. Bridges are forgotten at once and find out by GONE.
local function destroy(keys, args)
	local q, err = open_existing(keys[1])
	if not q then return err end
	clock(q)
	local P = q.P
	for _, id in ipairs(redis.call('ZRANGE', P .. 'L', 0, MANY - 1)) do
		ring(q, id, 'look')
		redis.call('UNLINK', P .. 'b:' .. id, P .. 'bm:' .. id)
		redis.call('ZREM', P .. 'L', id)
		redis.call('SREM', P .. 'idle', id)
		redis.call('HDEL', q.key, 'b:' .. id, 'i:' .. id)
	end
	redis.call('HDEL', q.key, 'ranks', 'drains')
	local ids = redis.call('ZRANGE', P .. 'all', 0, 99)
	for _, id in ipairs(ids) do
		if remove_job(q, id) then redis.call('ZREM', P .. 'all', id) end
	end
	flush(q)
	save(q)
	if redis.call('EXISTS', P .. 'all', P .. 'L') > 0 then return { #ids, 1 } end
	for _, hash in ipairs(redis.call('HKEYS', P .. 'blobs')) do redis.call('UNLINK', P .. 'blob:' .. hash) end
	redis.call('UNLINK', P .. 'scale', P .. 'scalelog')
	vanish_if_unused(q)
	return { #ids, 0 }
end
