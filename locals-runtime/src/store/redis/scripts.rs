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

/// Moves the expiries of a session, if the end of its active period is still the one to replace and
/// it still has the token that was used, and its time to live by as much as the end of the idle
/// period; says whether it did: 1 or 0, and -1 if the value cannot be read. So do the others below
/// that change a value.
///
/// `KEYS[1]` the session; `ARGV[1]` the end to replace; `ARGV[2]` and `ARGV[3]` the new ends of
/// the active and the idle period; `ARGV[4]` the time of the renewal; `ARGV[5]` and `ARGV[6]` the
/// least and the most time to live; `ARGV[7]` the hash of the token.
pub(super) const RENEW: &str = "
local value = redis.call('GET', KEYS[1])
if not value then
    return 0
end
local active, idle, rest = string.match(value, '^(%-?%d+) (%-?%d+) %-?%d+ (.*)$')
if not active then
    return -1
end
if active ~= ARGV[1] then
    return 0
end
if string.match(rest, '^%-?%d+ (%S+)') ~= ARGV[7] then
    return 0
end
local left = redis.call('PTTL', KEYS[1])
redis.call('SET', KEYS[1], table.concat({ARGV[2], ARGV[3], ARGV[4], rest}, ' '), 'KEEPTTL')
if left >= 0 then
    left = left + tonumber(ARGV[3]) - tonumber(idle)
    left = math.max(tonumber(ARGV[5]), math.min(left, tonumber(ARGV[6])))
    redis.call('PEXPIRE', KEYS[1], left)
end
return 1";

/// Gives a session a new token, if it still has the one to replace.
///
/// `KEYS[1]` the session; `ARGV[1]` the hash to replace; `ARGV[2]` hash, time and rotation, and
/// behind a dot the digest of the credential; without it the session keeps the one that it has.
pub(super) const CHANGE_TOKEN: &str = "
local value = redis.call('GET', KEYS[1])
if not value then
    return 0
end
local before, hash, word, behind =
    string.match(value, '^(%-?%d+ %-?%d+ %-?%d+ %-?%d+) (%S+) %-?%d+ (%S+) (.*)$')
if not before then
    return -1
end
if hash ~= ARGV[1] then
    return 0
end
local token = ARGV[2]
if not string.find(token, '.', 1, true) then
    token = token .. (string.match(word, '%..*$') or '')
end
redis.call('SET', KEYS[1], before .. ' ' .. token .. ' ' .. behind, 'KEEPTTL')
return 1";

/// Replaces the data of a session, if they still have the revision to replace.
///
/// `KEYS[1]` the session; `ARGV[1]` the revision to replace; `ARGV[2]` the new one; `ARGV[3]` the
/// data.
pub(super) const WRITE_DATA: &str = "
local value = redis.call('GET', KEYS[1])
if not value then
    return 0
end
local times, revision, rest = string.match(value, '^(%-?%d+ %-?%d+ %-?%d+) (%-?%d+) ([^\\n]*)')
if not times then
    return -1
end
if revision ~= ARGV[1] then
    return 0
end
value = times .. ' ' .. ARGV[2] .. ' ' .. rest .. '\\n' .. ARGV[3]
redis.call('SET', KEYS[1], value, 'KEEPTTL')
return 1";

/// Overwrites the data of a guest and moves its end, if the data still have the revision to
/// replace.
///
/// `KEYS[1]` the guest; `ARGV[1]` the revision to replace; `ARGV[2]` the new one; `ARGV[3]` the
/// end; `ARGV[4]` the data; `ARGV[5]` how long to live.
pub(super) const WRITE_GUEST: &str = "
local value = redis.call('GET', KEYS[1])
if not value then
    return 0
end
local revision, hash = string.match(value, '^(%-?%d+) %-?%d+ (%S+) ')
if not revision then
    return -1
end
if revision ~= ARGV[1] then
    return 0
end
value = table.concat({ARGV[2], ARGV[3], hash, ARGV[4]}, ' ')
redis.call('SET', KEYS[1], value, 'PX', ARGV[5])
return 1";

/// Puts a guest into the index of all guests, and lets that stay as long as the guest may.
///
/// The index is a sorted set, of which a score is the end of a guest on the app's clock.
///
/// `KEYS[1]` the index; `ARGV[1]` the guest; `ARGV[2]` its end; `ARGV[3]` for how many milliseconds;
/// `ARGV[4]` `NX` for a new guest, whose id may be another's, and `CH` for one that has been written.
pub(super) const ENTER_GUEST: &str = "
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1";

/// Says how many guests of the index end after a time, and removes those that ended long before it,
/// and before the time of this server: the clock of an app that is ahead removes none that live.
///
/// `KEYS[1]` the index; `ARGV[1]` the time; `ARGV[2]` for how many milliseconds after their end they
/// stay.
pub(super) const COUNT_GUESTS: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local long_ended = math.min(now, tonumber(ARGV[1])) - tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', long_ended)
return redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[1], '+inf')";

/// Gives the value of a session without its data.
///
/// `KEYS[1]` the session.
pub(super) const HEAD: &str = "
local value = redis.call('GET', KEYS[1])
return value and string.match(value, '^[^\\n]*')";

/// Deletes a session; gives the value it had.
///
/// `KEYS[1]` the session.
pub(super) const END: &str = "
local value = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return value";

/// Deletes a session if its data have the revision that was read; gives the value it had, or nothing
/// if they have another or it is gone.
///
/// `KEYS[1]` the session; `ARGV[1]` the revision.
pub(super) const END_UNCHANGED: &str = "
local value = redis.call('GET', KEYS[1])
if not value or string.match(value, '^%-?%d+ %-?%d+ %-?%d+ (%-?%d+) ') ~= ARGV[1] then
    return false
end
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
local constant =
    string.match(value, '^%-?%d+ %-?%d+ %-?%d+ %-?%d+ %S+ %-?%d+ %S+ ([^\\n]*)')
local read, session = pcall(cjson.decode, constant)
local user = read and type(session) == 'table' and session.user
if type(user) == 'string' and user ~= ARGV[1] then
    return -1
end
return redis.call('DEL', KEYS[1])";

/// Deletes a session or a guest that has ended; says whether it was there.
///
/// `KEYS[1]` the session or guest; `ARGV[1]` the time.
pub(super) const END_IF_EXPIRED: &str = "
local value = redis.call('GET', KEYS[1])
local ends = value and string.match(value, '^%-?%d+ (%-?%d+) ')
if ends and tonumber(ends) <= tonumber(ARGV[1]) then
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
