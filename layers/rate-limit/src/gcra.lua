-- Takes the cost of each demand from the allowance under its key, or nothing at all.
-- ARGV: burst, cost, patience, and whether it is enforced, of each key. Times are in microseconds.
-- Says of each key by how much it is too early, and in what time its allowance will be whole, both rounded up.
local EPOCH = 1767225600 -- 2026: a double has fractions of a microsecond to spare for what is left
local time = redis.call('TIME')
local now = (time[1] - EPOCH) * 1000000 + time[2]
local admitted = true
local state = {}
for i, key in ipairs(KEYS) do
    local at = i * 4 - 3
    local burst, cost, patience = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local enforced = ARGV[at + 3] == '1'
    local whole = math.max(tonumber(redis.call('GET', key) or 0), now)
    local early = whole + cost - now - burst
    local fits = cost <= burst and early <= patience
    if enforced and not fits then admitted = false end
    state[i] = { whole = whole, after = whole + cost, early = early, fits = fits }
end
local answer = {}
for i, key in ipairs(KEYS) do
    local it = state[i]
    local whole = it.whole
    if admitted and it.fits then
        whole = it.after
        redis.call('SET', key, string.format('%.3f', whole), 'PX', math.ceil((whole - now) / 1000))
    end
    answer[#answer + 1] = it.fits and 1 or 0
    answer[#answer + 1] = math.ceil(math.max(it.early, 0))
    answer[#answer + 1] = math.ceil(whole - now)
end
return answer
