//! What Redis does in one step: each script touches one key, so it runs on any cluster.
//!
//! They are sent whole each time. Redis knows a script that it has seen by its SHA-1, and there
//! is no case of a script that a restart has made it forget. None is on the way of a request
//! that only reads its session.
//!
//! They need Redis 6.0: what they write is replicated by its effects.

/// Puts a session into the index of its user, or prolongs its stay there.
///
/// The index is a sorted set. A score is the time, on the clock of this server, until which the
/// session may exist. What has passed is removed on this occasion; it could not be told
/// otherwise from a session that is about to be created.
///
/// `KEYS[1]` the index; `ARGV[1]` the session; `ARGV[2]` for how many milliseconds.
pub(super) const ENTER: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stay = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) < now + stay then
    redis.call('ZADD', KEYS[1], now + stay, ARGV[1])
end
if redis.call('PTTL', KEYS[1]) < stay then
    redis.call('PEXPIRE', KEYS[1], stay)
end
return 1";

/// Moves the expiries of a session, if the end of its active period is still not past the one to
/// replace, and its time to live by as much as the end of the idle period.
///
/// Numbers of Lua are floats. They are equal where the integers differ only some 285,000 years
/// from now; then the answer is no.
///
/// `KEYS[1]` the session; `ARGV[1]` the end to replace; `ARGV[2]` and `ARGV[3]` the new ends of
/// the active and the idle period; `ARGV[4]` and `ARGV[5]` the least and the most time to live.
pub(super) const RENEW: &str = "
local value = redis.call('GET', KEYS[1])
if not value then
    return 0
end
local active, idle, constant = string.match(value, '^(%-?%d+) (%-?%d+) (.*)$')
if not active then
    return redis.error_reply('ERR the value of this session cannot be read')
end
if active ~= ARGV[1] and tonumber(active) >= tonumber(ARGV[1]) then
    return 0
end
local left = redis.call('PTTL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. constant, 'KEEPTTL')
if left >= 0 then
    left = left + tonumber(ARGV[3]) - tonumber(idle)
    left = math.max(tonumber(ARGV[4]), math.min(left, tonumber(ARGV[5])))
    redis.call('PEXPIRE', KEYS[1], left)
end
return 1";

/// Deletes a session; gives the value it had.
///
/// `KEYS[1]` the session.
pub(super) const END: &str = "
local value = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return value";

/// Deletes a session unless it is another user's; says whether it was there: 1 or 0, and -1 if
/// it is another's.
///
/// One that cannot be read stood in this user's index, and opens nothing.
///
/// `KEYS[1]` the session; `ARGV[1]` the user.
pub(super) const END_OF_USER: &str = "
local value = redis.call('GET', KEYS[1])
if not value then
    return 0
end
local read, session = pcall(cjson.decode, string.match(value, '^%-?%d+ %-?%d+ (.*)$'))
local user = read and type(session) == 'table' and session.user
if type(user) == 'string' and user ~= ARGV[1] then
    return -1
end
return redis.call('DEL', KEYS[1])";

/// Deletes a session that has ended; says whether it was there.
///
/// `KEYS[1]` the session; `ARGV[1]` the time.
pub(super) const END_IF_EXPIRED: &str = "
local value = redis.call('GET', KEYS[1])
local idle = value and string.match(value, '^%-?%d+ (%-?%d+) ')
if idle and tonumber(idle) <= tonumber(ARGV[1]) then
    return redis.call('DEL', KEYS[1])
end
return 0";

/// Makes sure that a session is gone, by a write that is replicated in any case. Deleting what
/// is not there would be none, and `WAIT` would have nothing to wait for.
///
/// `KEYS[1]` the session.
pub(super) const END_ANEW: &str = "
redis.call('SET', KEYS[1], '')
return redis.call('DEL', KEYS[1])";
