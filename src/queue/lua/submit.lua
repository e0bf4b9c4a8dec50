-- args: lease wish in ms or 0, limit of all results in bytes or 0, uuid, tasks, open, staged, spec, name, owner, module hash, data hash,
--       results mode, backlog, max output, max deaths, max fails, stop on error (1) + sticky (2), priority, time request, ttl, require, when the
--       job may have results in files their directory (begins with /), then the ids of the jobs that must COMPLETE before
--       and perhaps the client that will read the results: it becomes the consumer, and waits for any
-- reply: job, 1 when this uuid was submitted before

-- Where the ids begin.
local function submit_after(args)
	return string.sub(args[22] or '', 1, 1) == '/' and 23 or 22
end

local function submit_check(args, after)
	for _, i in ipairs({ 1, 2, 4, 12, 13, 14, 15, 16, 17, 19, 20 }) do
		if not int(args[i]) then return false end
	end
	local prio = tonumber(string.match(args[18] or '', '^-?%d+$'))
	local n = int(args[4])
	for i = after, #args do
		if not int(args[i]) then return false end
	end
	return hex(args[3], 32) and prio and prio >= -1000 and prio <= 1000 and (n > 0 or args[5] == '1') and int(args[12]) <= 2 and
		int(args[17]) <= 3 and #args[7] > 0 and #args[7] <= 8388608 and #args[8] <= 256 and #args[9] <= 256 and #args[21] <= 256 and #args < after + 100 and #(args[22] or '') < 4096 and
		(args[10] == '' or hex(args[10], 64)) and (args[11] == '' or hex(args[11], 64))
end

-- Takes the staged input over; nil, or an error reply and then nothing was changed.
local function submit_check_input(q, uuid, n)
	local staged = q.P .. 's:' .. uuid
	local last = redis.call('ZREVRANGE', staged .. ':x', 0, 0)[1]
	local s, c = string.match(last or '', '^(%d+):(%d+):')
	if not s or tonumber(s) + tonumber(c) ~= n or num(redis.call('HGET', staged, 'sum')) ~= n then return fail('INPUT') end
end

local function submit_take_input(q, uuid, k)
	local staged = q.P .. 's:' .. uuid
	redis.call('RENAME', staged, k .. ':in')
	redis.call('RENAME', staged .. ':x', k .. ':inx')
	redis.call('PERSIST', k .. ':in')
	redis.call('PERSIST', k .. ':inx')
	redis.call('HSET', k, 'inb', redis.call('HGET', k .. ':in', 'bytes'))
	redis.call('HDEL', k .. ':in', 'sum', 'bytes')
end

local function submit_use_blob(q, hash)
	if hash == '' then return end
	redis.call('HINCRBY', q.P .. 'blobs', hash, 1)
	redis.call('PERSIST', q.P .. 'blob:' .. hash)
end

local function submit_fields(q, args, j, policy, files)
	local f = { 'counts', job_pack(j), 'policy', policy, 'uuid', args[3], 'created', S(q.now) }
	for name, value in pairs({ name = args[8], owner = args[9], module = args[10], data = args[11], files = files }) do
		if value ~= '' then
			f[#f + 1] = name
			f[#f + 1] = value
		end
	end
	return f
end

local function submit_job(q, id, k, policy, args, reader)
	local counts = cmsgpack.pack(STATE_NUMBERS.PENDING, int(args[4]), 0, 0, 0, 0, 0, 0, 0, 0, reader and 1 or 0, 0, args[5] == '1' and 1 or 0,
		0, 0, 0, 0, 0, 0, 0)
	return job_known(q, job_read(id, k, parse_policy(policy), counts))
end

local function submit_add_reader(k, reader)
	redis.call('HSET', k .. ':c', 'epoch', 1, 'client', reader)
	redis.call('HSET', k .. ':w', reader, 'any')
end

local function submit(keys, args)
	local reader = #args > 21 and hex(args[#args], 32) and table.remove(args)
	local after = submit_after(args)
	if #args < 21 or not submit_check(args, after) then return fail('ARG') end
	local q, err = open(keys[1])
	if not q then return err end
	local uuid, staged = args[3], args[6] == '1'
	local known = redis.call('HGET', q.P .. 'uuids', uuid)
	if known then return { tonumber(known), 1 } end
	if staged then
		err = submit_check_input(q, uuid, int(args[4]))
		if err then return err end
	end
	for i = 10, 11 do
		if args[i] ~= '' and redis.call('EXISTS', q.P .. 'blob:' .. args[i]) == 0 then return fail('BLOB') end
	end
	for i = after, #args do
		if redis.call('EXISTS', q.P .. 'j:' .. args[i]) == 0 then return fail('AFTER') end
	end
	err = create(q, int(args[1]), int(args[2]))
	if err then return err end
	clock(q)
	local id = S(redis.call('HINCRBY', q.key, 'jobseq', 1))
	local k, policy = q.P .. 'j:' .. id, table.concat(args, ' ', 12, 21)
	local files = after > 22 and args[22] or ''
	local j = submit_job(q, id, k, policy, args, reader)
	redis.call('HSET', k, unpack(submit_fields(q, args, j, policy, files)))
	-- Sent again after the job had gone: its files are wanted again.
	if files ~= '' then redis.pcall('ZREM', q.P .. 'files', uuid .. files) end
	redis.call('SET', k .. ':spec', args[7])
	if reader then submit_add_reader(k, reader) end
	redis.call('HSET', q.P .. 'uuids', uuid, id)
	redis.call('ZADD', q.P .. 'all', id, id)
	if staged then submit_take_input(q, uuid, k) end
	submit_use_blob(q, args[10])
	submit_use_blob(q, args[11])
	for i = after, #args do
		redis.call('SADD', k .. ':deps', args[i])
		redis.call('SADD', q.P .. 'j:' .. args[i] .. ':rdeps', id)
	end
	if j.open == 1 then renew_producer(q, j) end
	local state, cause = 'PENDING', nil
	if #args >= after then state, cause = dependency_state(q, j) end
	if state == 'IMPOSSIBLE' then
		finish(q, j, 'IMPOSSIBLE', 'job ' .. cause .. ' ended ' .. job(q, cause).state)
	else
		if state ~= j.state then put(j, 'state', state) end
		if j.n > 0 then make_ready(q, j) end
		if state == 'PENDING' then j.bells = j.n end
	end
	upkeep(q)
	return done(q, { tonumber(id), 0 })
end
